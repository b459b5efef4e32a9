"""Every figure, in one style; numbers in, pictures out."""
