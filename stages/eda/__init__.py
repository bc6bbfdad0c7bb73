"""What the images themselves say about locality, position and sample size, before any net is trained."""
