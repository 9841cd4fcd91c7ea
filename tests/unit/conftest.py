"""Fixtures that several unit tests share."""

from tests.support.door_bench import bench

__all__ = ["bench"]
