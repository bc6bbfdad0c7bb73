"""Train every seed of one variant."""
