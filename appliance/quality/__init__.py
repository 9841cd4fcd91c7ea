"""Checks of what arrived: off the receiving path, while the patient is still there (``docs/reference/quality.md``)."""
