"""`harness score`: two folders of images compared by FID, KID and their kin."""
