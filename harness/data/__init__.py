"""From source files to stores of pairs."""
