"""How any network is trained: the fit loop, precision, augmentation, schedules."""
