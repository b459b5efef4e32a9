"""What every layer may use: errors, atomic files, random streams, registries, the console."""
