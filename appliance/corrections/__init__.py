"""Whose pictures these are: matching to registrations, and what people correct, split, merge, reject and undo."""
