"""Numbers per seed → means, intervals, paired differences and the direction that they support; pure functions."""
