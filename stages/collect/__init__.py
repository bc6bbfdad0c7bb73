"""Runs and probes of every variant → tidy tables, effects with intervals, and DVC's metrics."""
