"""How often a verdict fires on planted failures and on none."""
