"""SQL on FHIR v2: views that say what to take from resources, and two ways to run them with the same rows."""
