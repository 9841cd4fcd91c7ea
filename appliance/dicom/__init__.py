"""DICOM services and objects that Orthanc does not give us."""
