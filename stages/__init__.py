"""The pipeline: each folder is one DVC stage, or a room that several stages share."""
