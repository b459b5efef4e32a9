"""What tests are made of: patients, stores, trainings, commands typed."""
