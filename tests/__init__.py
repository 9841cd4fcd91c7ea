"""Tests of everything; ``tests.support`` is what they share."""

# pytest asks it where a forgotten socket came from; while it is being imported for that, the next one finds half of it.
import tracemalloc  # noqa: F401
