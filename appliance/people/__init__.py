"""Who works at the unit's screen: people, their roles, and PINs that only their hashes tell."""

NAME_CHARS_MAX = 40
