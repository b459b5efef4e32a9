"""Running jobs: what is done, what is stale, and who computes it."""
