"""Every bound of the unit, with its arithmetic, in one place; ``qafila doctor`` shows how full each one is.

``docs/reference/configuration.md`` shows them to people; those of the network follow DICOM PS3.8.
"""

from __future__ import annotations

from dataclasses import dataclass

KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitSet:
    """The unit's bounds. Times are differences on the monotonic clock."""

    # the door: associations
    pdu_bytes_max: int = 128 * KIB
    associate_rq_bytes_max: int = 64 * KIB
    handshake_s_max: float = 5.0
    idle_s_max: float = 60.0
    pdu_rate_bytes_per_s_min: int = 1 * KIB
    pdu_grace_s_max: float = 10.0
    """A PDU may stand still for so long in all before its rate is judged: a radio link drops out for seconds."""
    association_s_max: float = 3600.0
    connection_count_per_peer_max: int = 8
    connection_count_max: int = 16
    orthanc_answer_s_max: float = 3.0
    """Associating on loopback takes 1 ms. One that does not listen is known at once; this is for one that is stuck."""
    drain_s_max: float = 5.0
    """At the end: how long an object under way may go on."""
    command_bytes_max: int = 16 * KIB

    # the door: objects
    object_bytes_max: int = 2 * GIB
    object_share_of_free_space_max: float = 0.25
    sequence_depth_max: int = 32
    element_count_max: int = 100_000
    inflate_ratio_max: int = 100
    inflate_bytes_max: int = 2 * GIB
    held_bytes_max: int = 16 * MIB
    """Of all objects under way together, so that a damaged one can be set aside; beyond it only its beginning is."""
    quarantine_file_count_max: int = 1_000
    """Set aside by the gatekeeper, or at Orthanc's door; beyond it what is refused is refused without a copy."""

    # the worklist
    worklist_answer_count_max: int = 500
    """Ten days of a busy unit; beyond it a console is told that its list is not whole (0xFE00)."""
    worklist_query_bytes_max: int = 64 * KIB
    """A query with every return key has about 1 KB."""
    worklist_busy_s_max: float = 5.0
    """For ``unit.db``: a reader waits for nobody in WAL mode but a recovery. Consoles give up after 10 to 30 s."""

    # the disk: admission at the door (0xA700 below the floor), then people are warned, then only STAT is taken
    free_bytes_floor: int = 512 * MIB
    free_inode_floor: int = 2_000
    free_bytes_warn: int = 4 * GIB
    free_bytes_stat_only: int = 1 * GIB

    # delivery
    candidate_count_max: int = 64
    transfer_item_count_max: int = 16
    transfer_bytes_max: int = 32 * MIB
    announce_item_count_max: int = 32
    """Manifests and previews in one transfer; at 60 kB each about 2 MB."""
    announce_attempt_count_max: int = 3
    """After so many failed tries an item is sent without having been announced: a preview must not block its study."""
    aging_s: float = 4 * 3600.0
    """A routine item that waited so long may go before STAT ones, now and then."""
    aging_turn_period: int = 8
    """One transfer in so many is such an item, as far as its next append, while STAT studies keep coming."""
    idle_probe_s: float = 900.0
    """A centre that names its epoch is asked for it so often when nothing else is said: it may have been restored."""
    link_kind_settle_s: float = 30.0
    """What a link was so long ago goes on to forbid: at the edge of a Wi-Fi nothing is begun and called off in vain."""
    transfer_stall_s_max: float = 30.0
    transfer_rate_bytes_per_s_min: int = 128
    backoff_s_first: float = 2.0
    backoff_s_max: float = 300.0
    link_progress_bytes_min: int = 256 * KIB
    """A broken transfer to a destination that resumes, which carried so much, shows that the link works."""
    backoff_item_count_max: int = 512
    fruitless_rest_s_max: float = 30.0
    verify_poll_s_max: float = 60.0
    journal_detail_bytes_max: int = 2 * KIB

    # the encoder ahead of the link
    encoder_worker_count_max: int = 2
    """One core stays free of them: on two cores there is one. Another one makes previews on demand."""
    encoder_memory_bytes_max: int = 640 * MIB
    """Of one worker. A film at effort 9 takes 210 MB; what does not fit is packed with zstd alone."""
    encoder_cpu_s_max: float = 60.0
    encoder_cpu_rate_bytes_per_s_min: int = 50_000
    """A file may take ``encoder_cpu_s_max`` of processor time and its size at this rate: a Pi at effort 9 is faster."""
    encoder_idle_s_max: float = 5.0
    """A worker with nothing to do ends after it, and gives its 30 to 200 MB back; the next one starts in 0.2 s."""
    encoder_pause_s_max: float = 30.0
    """So long does work ahead wait for the door to stop receiving; then it does one file."""
    encoder_ahead_count_max: int = 64
    """Files of each destination that are made before they are asked for."""
    encoder_spool_bytes_max: int = 2 * GIB
    """Of parts together: some 2,000 films. One file that a destination waits for may go beyond it."""
    encoder_spool_entry_count_max: int = 4_096

    # quality checks
    quality_memory_bytes_max: int = 768 * MIB
    """Address space of the process that reads pictures; a film of 18 million pixels takes 150 MB of it."""
    quality_answer_s_max: float = 60.0
    """One file, and one second more for each ``quality_rate_bytes_per_s_min`` of it: the process gives way to all."""
    quality_rate_bytes_per_s_min: int = 1_000_000
    quality_idle_s_max: float = 5.0
    """The reading process ends after it and gives its 50 to 140 MB back; the next one starts in 0.5 s."""
    quality_sample_count_max: int = 64 * MIB
    """Pixels of one file that are looked at; of a longer loop frames are taken at even distances."""
    quality_attempt_count_max: int = 2
    """After so many readings that killed or stalled their process a file counts as not checked."""

    # imports
    import_file_count_max: int = 20_000
    """Of one medium or folder: four CDs full of CT slices."""
    import_folder_depth_max: int = 16
    import_picture_bytes_max: int = 256 * MIB
    """A picture or paper as a file; a video may be as long as any object."""
    import_pixel_count_max: int = 64_000_000
    """A telephone's 50-megapixel photograph; as colour pixels 192 MB, of which the child holds three copies at most."""
    import_memory_bytes_max: int = 1 * GIB
    """Of the child process that reads foreign files."""
    import_answer_s_max: float = 120.0
    """For one picture or paper: a Pi needs 15 s for 50 megapixels; a video and a medium also get time by their size."""
    import_settle_s: float = 5.0
    """A file in the watched folder that did not change for so long is taken for whole."""

    # services: MPPS and Storage Commitment
    services_answer_s_max: float = 20.0
    """Associating with a process that rests and is started first: 1 s on a mini-PC, several on a busy Pi."""
    services_idle_s_max: float = 60.0
    """With no association and no report due so long, the process ends and gives its 45 MB back."""
    services_memory_bytes_max: int = 512 * MIB
    """Address space of that process; a message with the most references takes 30 MB of it."""
    service_data_set_bytes_max: int = 1 * MIB
    """Of one MPPS or commitment message: 4,096 references take 0.7 MB."""
    commitment_reference_count_max: int = 4_096
    commitment_wait_s_first: float = 2.0
    """How long a report first waits for an image that is not here yet; then twice as long each time."""
    commitment_wait_count_max: int = 8
    """Such pauses: 2 + 4 + ... + 256 s, 8.5 minutes; then the image counts as never sent."""
    commitment_report_s_max: float = 20.0
    """For a device to acknowledge a report."""
    commitment_backoff_s_first: float = 5.0
    commitment_backoff_s_max: float = 3600.0
    commitment_attempt_count_max: int = 400
    """A report that was never acknowledged: two weeks of a running unit, then the device must ask again."""
