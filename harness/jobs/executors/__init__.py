"""Who computes: this process, local processes, a Ray cluster. They know nothing of GANs."""
