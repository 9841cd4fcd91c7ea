"""Registering who came and what is asked: pure rules, and the desk that writes them down in one transaction."""
