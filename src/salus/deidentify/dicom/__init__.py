"""DICOM images: headers by PS3.15 Annex E, text burnt into pixels found and blanked, and what cannot be judged refused.

Everything here needs the optional extra ``dicom`` (pydicom), save :mod:`options`, which a policy can hold without it.
"""
