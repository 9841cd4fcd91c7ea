"""The door that modalities see: bounded, length-checked DICOM in front of Orthanc; nothing hostile reaches Orthanc."""
