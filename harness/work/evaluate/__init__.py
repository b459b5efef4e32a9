"""Scores of generators and of segmenters, audits, calibrations, the opening of the test."""
