"""A world in virtual time that lives through years of trouble with the real core; ``docs/reference/simulation.md``."""
