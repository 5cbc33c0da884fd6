"""How good, how alike, how useful: measurements with intervals, given as findings and never as verdicts."""
