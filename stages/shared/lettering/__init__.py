"""Text that users bring: which letters can be drawn, and how names are shown that are long or cannot be drawn."""
