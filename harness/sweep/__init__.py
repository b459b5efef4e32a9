"""Search: one Optuna study per stage, asked in waves, told in order."""
