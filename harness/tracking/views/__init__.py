"""Plans as MLflow runs: which run, under which parent, with which sentence."""
