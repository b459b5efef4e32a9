"""A table of scores by patient and replicate to a verdict; numpy and scipy alone."""
