"""`harness inspect`: what a folder of DICOM files holds."""
