"""The unit's power: its battery, and what is done before power goes."""
