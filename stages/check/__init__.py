"""Whether the settings can be run, and what each variant's stages are to do."""
