"""Reading at the centre: structured reports, their signatures, and what becomes of them in PACS and shared record."""
