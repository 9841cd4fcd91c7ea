"""The vocabulary as frozen values; nothing here reads a clock, disk, network or random source."""
