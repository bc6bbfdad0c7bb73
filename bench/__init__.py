"""How fast training is, beside what a user would run instead. No stage, and no result depends on it."""
