"""Synthesis: patients nobody is, to be used where the real ones may not be seen."""
