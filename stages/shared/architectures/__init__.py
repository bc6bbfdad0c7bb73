"""Nets: from a specification to a torch module, and what the specification costs and sees, in closed form."""
