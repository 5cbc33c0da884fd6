"""MEDS-EIC-AR `micro` on the ICU timeline. It cannot make a patient from nothing, so it is measured, not judged."""
