"""The dataset as the nets are given it: split, with a margin around each image, and with its constants."""
