"""Stores of synthetic pairs: from a trained generator, or fresh phantoms."""
