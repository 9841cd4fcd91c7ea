"""Releases of the appliance's image: what proves one, and how it comes to where systemd-sysupdate installs it from."""
