"""A centre's gateway as a destination: few round trips, appends that any cut or anything urgent may end, receipts."""
