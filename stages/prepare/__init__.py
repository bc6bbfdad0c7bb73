"""Splits, canvas and constants: from a dataset as published to what the nets are given."""
