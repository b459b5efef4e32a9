"""What fills the extra places of an arm's batches: a name in `config.choices.FILLINGS` each."""
