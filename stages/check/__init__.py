"""Whether the settings can be run."""
