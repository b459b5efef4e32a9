"""Who computes: this process, local processes. They know nothing of GANs."""
