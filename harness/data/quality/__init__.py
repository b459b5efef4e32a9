"""What stands out among patients: a summary of each scan and checks against the others."""
