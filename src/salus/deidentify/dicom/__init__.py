"""DICOM images: headers by PS3.15 Annex E, text burnt into pixels found and blanked, and what cannot be judged refused.

Everything here needs the optional extra ``dicom`` (pydicom), save :mod:`options` and :mod:`books`,
which a policy and a command can hold without it. The door is :mod:`salus.deidentify.images`.
"""
