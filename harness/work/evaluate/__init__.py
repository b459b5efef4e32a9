"""Scores of generators and segmenters, audits, calibrations, the test evaluation."""
