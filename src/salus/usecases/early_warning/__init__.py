"""Early warning: how likely an outcome is for a patient, from what was known at the index moment."""
