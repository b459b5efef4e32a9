"""`harness export`: the pairs an arm learns from, in other programs' formats."""
