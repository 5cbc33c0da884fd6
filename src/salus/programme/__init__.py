"""May we use it, and who says so? Use cases, protocols frozen beforehand, and gates that judge findings."""
