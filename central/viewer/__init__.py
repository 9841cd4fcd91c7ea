"""The full viewer: OHIF on an origin of its own, and a read-only way to the PACS for whoever was let in."""
