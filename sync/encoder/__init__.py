"""Makes the parts of stored files ahead of the link, in worker processes, and remembers them across restarts."""
