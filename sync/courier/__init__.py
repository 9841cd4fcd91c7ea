"""The same manifests and parts on a USB stick: encrypted for the centre, signed by the unit, read back to verify."""
