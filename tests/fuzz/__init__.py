"""Bytes from outside against every parser that meets them: only the errors that are promised may come out."""
