"""Gets a dataset from whichever source has it, verifies it, and writes it as plain arrays."""
