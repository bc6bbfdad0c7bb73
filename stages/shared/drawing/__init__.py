"""Figures and tables as functions of tidy rows; one style, one palette."""
