"""Distances between real and synthetic features: FID, KID, precision and recall."""
