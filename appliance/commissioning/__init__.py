"""Trying out a device: everything that must work between it and this unit, seen once and written down."""
