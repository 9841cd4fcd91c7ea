"""What goes wrong with the wire form, as sentences without patient identity."""

from __future__ import annotations


class WireError(Exception):
    """A part is damaged, hostile or beyond a limit, or a file cannot be put into parts; permanent for these bytes.

    The text holds sizes and counts only, never a value of the data set.
    """


class WireCancelled(WireError):
    """The caller asked to stop; nothing is wrong with the file."""
