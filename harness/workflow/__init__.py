"""Run order, the driver loop, and what commands share."""
