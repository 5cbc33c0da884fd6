"""Who, from when, towards what: index moments, what was known then, and outcome labels."""
