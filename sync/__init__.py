"""Delivery: the pure core that decides, the adapters that act, and the runner that joins them to the store."""
