"""Generators side by side: the same patients, the same split, judges that nobody here wrote (`make bench-peers`)."""
