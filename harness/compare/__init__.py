"""Planning the comparison: replicates, arms, what all arms share, the test evaluation."""
