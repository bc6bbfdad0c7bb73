"""Specification → module, and what the specification costs and sees in closed form."""
