"""Whether the settings can be run, and whether what they hold constant is constant."""
