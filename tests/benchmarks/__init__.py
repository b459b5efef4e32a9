"""Benchmarks: not timed tests, but ratios against a reference measured in the same process."""
