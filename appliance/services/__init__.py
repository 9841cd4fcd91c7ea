"""What Orthanc lacks: MPPS and Storage Commitment for devices, by pynetdicom behind the gatekeeper."""
