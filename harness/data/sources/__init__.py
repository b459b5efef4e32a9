"""Where patients come from: phantoms, OpenKBP, DICOM, folders of NRRD and NIfTI."""
