"""How good, how alike, how useful, how private: measurements with intervals, given as findings and never as verdicts."""
