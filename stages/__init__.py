"""The pipeline: one folder for each DVC stage, and shared/, tools/ and cloud/ beside them."""
