"""Thin hands: one outside thing a file; each turns its protocol's outcomes into ``Failure`` values, once."""
