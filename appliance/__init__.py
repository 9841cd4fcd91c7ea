"""The unit: its vocabulary, configuration, store, door (gatekeeper and Orthanc plugin) and command line."""
