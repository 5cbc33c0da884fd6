"""FHIRPath: the language in which a view says what to take from a resource."""
