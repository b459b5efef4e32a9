"""Copied training patients: nearest neighbours, adversarial accuracy, a permutation test."""
