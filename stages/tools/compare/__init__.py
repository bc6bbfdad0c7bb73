"""Results of several experiments, git revisions or the workspace side by side, read without a checkout."""
