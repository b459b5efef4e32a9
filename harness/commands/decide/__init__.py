"""`harness decide`: anyone's table of scores to a verdict."""
