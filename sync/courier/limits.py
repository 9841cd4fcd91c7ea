"""Every bound of a stick, with its arithmetic. Readers refuse what is beyond one before they allocate for it."""

from __future__ import annotations

from dataclasses import dataclass

KIB = 1024
MIB = 1024 * KIB


@dataclass(frozen=True, slots=True, kw_only=True)
class CourierLimits:
    """Bounds of one unit's folder on a stick; a stick is untrusted whoever brings it."""

    parcel_bytes: int = 16 * MIB
    """Pixel bytes that one parcel is filled with: what a pulled stick can lose, about a second of writing. Smaller ones
    cost more flushes (20-100 ms each on a cheap stick), larger ones more memory at both ends."""
    parcel_instance_count_max: int = 256
    """Bounds the manifests of a parcel (600 bytes an instance) and its line in the index (45 bytes an instance)."""
    parcel_notes_bytes_max: int = MIB
    """What is said of its studies beside their images: 500 bytes each as a rule, 32 KiB at most."""
    parcel_head_bytes_max: int = 4 * MIB
    parcel_file_bytes_max: int = 64 * MIB
    """A parcel's content, its previews (60 kB each at most), header parts and head, and age's 16 bytes every 64 KiB."""
    parcel_slice_count_max: int = 4_096

    index_line_bytes_max: int = 128 * KIB
    index_bytes_max: int = 256 * MIB
    """In 16 MiB parcels of 100 kB stills an index is 1/2000 of what it lists: enough for a stick of 512 GB."""
    parcel_count_max: int = 100_000

    reply_bytes_max: int = 64 * MIB
    """What the centre wrote back: 2 kB a receipt, so 30,000."""
    reply_entry_count_max: int = 20_000
    """The newest; what is older came by an earlier stick, or comes by link."""
    unit_count_max: int = 1_000
    """Folders of units on one stick."""
    reserve_bytes: int = 4 * MIB
    """Left free on a stick: for the index, a file system's own tables, and the centre's receipts."""
