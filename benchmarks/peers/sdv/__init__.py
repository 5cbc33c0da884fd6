"""SDV: Gaussian copula, CTGAN and TVAE for rows, PAR for sequences, with their defaults."""
