"""DICOM files to scans and masks: walk, series, structure sets, pairing, rasters."""
