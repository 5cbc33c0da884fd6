"""Free text: what identifies is found by the patient's own identity, rules and lists, and replaced."""
