"""Job folders seen in MLflow; it reads jobs and changes none."""
