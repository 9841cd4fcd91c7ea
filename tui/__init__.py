"""The unit's screen: reads immutable snapshots, writes command rows, holds no truth; may be killed at any moment."""
