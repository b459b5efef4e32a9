"""NRRD and NIfTI patients in the folder layouts of public data sets."""
