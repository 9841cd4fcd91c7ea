"""Measurements as ratios in one run: ``python -m bench [NAME...]``; results in docs/performance.md.

Nothing here is a test, and no test asserts a time.
"""
