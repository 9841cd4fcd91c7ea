"""One file a check: a pure function of a view that yields findings; nothing here reads a file or a clock."""
