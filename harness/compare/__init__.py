"""The comparison: replicates, arms, the opening of the test, the decision."""
