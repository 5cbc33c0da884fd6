"""Ways out: a timeline in the form that other systems and scripts read, marked synthetic where it is."""
