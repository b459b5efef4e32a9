"""`harness plan`: the cheapest design that sees the margin, and what the own one does."""
