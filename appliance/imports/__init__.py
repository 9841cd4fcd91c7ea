"""Pictures, videos, papers and media that no modality sends: made into valid objects and stored through the door."""
