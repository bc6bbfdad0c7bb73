"""The published results: made by a long run that can be broken off, kept small in git, shown and compared."""
