"""SQLite: the truth about delivery. Writes open with BEGIN IMMEDIATE; each move of an item writes its journal row."""
