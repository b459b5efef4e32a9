"""Whether this machine and this installation can run experiments, and what would help."""
