"""The judges of a synthetic table; they run in an environment of their own (requirements.txt)."""
