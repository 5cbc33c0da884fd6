"""One patient, many systems: who is the same person, doubtful pairs for a person, links that can be undone."""
