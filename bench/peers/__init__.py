"""What ``bench/links.py`` lets run on emulated links: payloads, their limit, ours and the peers, and the report."""
