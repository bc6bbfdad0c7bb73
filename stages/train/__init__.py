"""Train every run of the protocol that is missing."""
