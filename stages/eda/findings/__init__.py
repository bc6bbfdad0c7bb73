"""Every finding in words: the number, its direction, and the hypothesis on which it bears; grammatical for every outcome."""
