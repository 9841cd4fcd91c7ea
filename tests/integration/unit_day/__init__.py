"""One day of a unit with real tools, offline until its end: see ``day.py`` for the story, ``state.py`` for its end."""
