"""What can go wrong with an emulated link, as sentences."""

from __future__ import annotations


class LinkError(Exception):
    """The link cannot be made or used; the text says why and what to do. Nothing of it is left on the machine."""
