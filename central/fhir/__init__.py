"""What a shared medical record takes and gives: FHIR R4B resources, made of rows and read from bodies; no HTTP here."""
