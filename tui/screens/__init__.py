"""Pages of the screen, each with its style sheet beside it."""
