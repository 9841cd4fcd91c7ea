"""One file a family of pages; each is named in ``central.review.registry``."""
