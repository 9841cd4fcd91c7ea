"""Every bound of the review pages, with its arithmetic."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewLimits:
    """Bounds of the pages. Times of a request are on the monotonic clock; those kept in the database are wall times."""

    form_bytes_max: int = 256 * 1024
    """A report of 100,000 Arabic letters, percent-encoded, does not fit; nobody types one."""
    form_field_count_max: int = 200
    wrong_count_max: int = 5
    """Wrong passwords in a row; then the account rests, twice as long after each further one."""
    lock_s_first: int = 60
    lock_s_max: int = 24 * 3600
    sign_in_count_max: int = 20
    """Tries from one address in ``sign_in_window_s``: a whole department behind one address at eight o'clock."""
    sign_in_window_s: float = 60.0
    address_count_max: int = 10_000
    hashing_count_max: int = 2
    """Passwords that are hashed at once: 19 MiB and 30 ms each."""
    session_count_per_account_max: int = 8
    page_row_count: int = 50
    shown_count_max: int = 5_000
    """Studies that a session was shown, remembered so that a list that renews itself audits each of them once."""
    shown_session_count_max: int = 500
    index_share_max: float = 0.1
    """Of one core that following the gateway's tables may take while much is open."""
    index_pause_s_min: float = 0.5
    index_pause_s_max: float = 30.0
    viewer_ticket_s: int = 60
    """From a click to the viewer's first page; a ticket is good once."""
    viewer_grant_s: int = 4 * 3600
    """How long an opened study can be seen in the full viewer: a long reading, and never longer than the session."""
    viewer_prior_count_max: int = 50
    """Other studies of the patient that come with it; their UIDs make an address of 3 KB."""
