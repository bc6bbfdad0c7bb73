"""How fast training is here, beside what a user would run instead: `make bench`. No stage, and no result depends on it."""
