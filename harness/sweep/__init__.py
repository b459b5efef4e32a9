"""Search: one Optuna study per stage, asked in batches of trials, told in order."""
