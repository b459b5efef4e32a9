"""`harness init`: a commented experiment for a folder of patients."""
