"""What may be said of a difference; the words of the whole report."""

ABOVE, BELOW, ALIKE, UNKNOWN = "above", "below", "not distinguishable from", "unknown"
