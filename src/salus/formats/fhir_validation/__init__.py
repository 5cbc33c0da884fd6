"""Whether a FHIR R4 resource is as the specification says: elements, types, codes, references and invariants."""
