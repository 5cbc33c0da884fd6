"""The record: one row an event of one patient, stored as a MEDS data set."""
