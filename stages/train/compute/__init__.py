"""Where the runs of a variant are made; what they are is decided in train_run."""
