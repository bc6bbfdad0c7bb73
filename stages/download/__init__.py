"""Gets a dataset from the first source that has it, verifies it, and writes it as plain arrays."""
