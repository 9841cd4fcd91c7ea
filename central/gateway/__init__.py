"""The centre's gateway: takes studies in parts over bad links and hands the original files to the PACS."""
