"""The change log may lose its end, go backwards and drop rows: every instance in it is reported all the same."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from appliance.orthanc.feed import START, ChangeRow, Cursor, follow, orthanc_id, parse_rows, since

KINDS = ("NewInstance", "NewSeries", "StableStudy")


def answer(log: list[ChangeRow], since_seq: int, limit: int) -> list[ChangeRow]:
    """What Orthanc answers to ``/changes?since&limit``."""
    return [row for row in log if row.seq > since_seq][:limit]


class FeedMachine(RuleBasedStateMachine):
    """Orthanc's log as it behaves over power cuts, and our cursor beside it."""

    @initialize()
    def begin(self) -> None:
        self.log: list[ChangeRow] = []
        self.next_seq = 1
        self.moment = 0
        self.cursor = START
        self.reported: set[str] = set()

    @rule(kind=st.sampled_from(KINDS), name=st.integers(0, 40))
    def store(self, kind: str, name: int) -> None:
        self.moment += 1
        self.log.append(ChangeRow(self.next_seq, kind, f"id-{name}", f"t{self.moment}"))
        self.next_seq += 1

    @rule(lost_count=st.integers(1, 12))
    def power_cut(self, lost_count: int) -> None:
        """The index lost its last commits; the sequence is handed out again."""
        self.log = self.log[: max(0, len(self.log) - lost_count)]
        self.next_seq = self.log[-1].seq + 1 if self.log else 1

    @rule(position=st.integers(0, 60))
    def delete_row(self, position: int) -> None:
        """A purged instance takes its rows out of the log."""
        if self.log:
            self.log.pop(position % len(self.log))

    @rule()
    def index_rebuilt(self) -> None:
        self.moment += 1
        names = dict.fromkeys(row.resource_id for row in self.log if row.kind == "NewInstance")
        self.log = [ChangeRow(n, "NewInstance", name, f"r{self.moment}") for n, name in enumerate(names, start=1)]
        self.next_seq = len(self.log) + 1

    @rule(limit=st.integers(2, 8))
    def poll(self, limit: int) -> None:
        step = follow(self.cursor, answer(self.log, since(self.cursor), limit))
        self.cursor = step.cursor
        self.reported.update(step.instance_ids)
        if step.rescan:
            assert step.cursor == START and not step.instance_ids

    @invariant()
    def following_to_the_end_reports_every_instance(self) -> None:
        cursor, reported = self.cursor, set(self.reported)
        for _ in range(len(self.log) + 3):
            step = follow(cursor, answer(self.log, since(cursor), 5))
            reported.update(step.instance_ids)
            if step.cursor == cursor and not step.rescan:
                break
            cursor = step.cursor
        assert {row.resource_id for row in self.log if row.kind == "NewInstance"} <= reported


FeedMachine.TestCase.settings = settings(max_examples=150, stateful_step_count=30, deadline=None)
TestFeed = FeedMachine.TestCase


def test_quiet_log_asks_for_nothing_new() -> None:
    rows = [ChangeRow(1, "NewInstance", "a", "t1"), ChangeRow(2, "NewSeries", "b", "t2")]
    step = follow(START, rows)
    assert step.instance_ids == ("a",)
    again = follow(step.cursor, answer(rows, since(step.cursor), 100))
    assert (again.cursor, again.instance_ids, again.rescan) == (step.cursor, (), False)


def test_sequence_that_went_backwards_is_read_again_from_the_start() -> None:
    """Measured: after a cut ``since=26`` answers nothing while new rows carry 17 to 21."""
    cursor = Cursor(26, "z", "t26")
    log = [ChangeRow(n, "NewInstance", f"new-{n}", f"u{n}") for n in range(1, 22)]
    step = follow(cursor, answer(log, since(cursor), 100))
    assert step.rescan
    assert "new-17" in follow(step.cursor, answer(log, since(step.cursor), 100)).instance_ids


def test_same_sequence_with_another_row_is_noticed() -> None:
    cursor = Cursor(5, "a", "t1")
    assert follow(cursor, [ChangeRow(5, "NewInstance", "b", "t1")]).rescan
    assert follow(cursor, [ChangeRow(5, "NewInstance", "a", "t2")]).rescan


@given(st.recursive(st.none() | st.integers() | st.text(), lambda c: st.lists(c) | st.dictionaries(st.text(), c)))
def test_answer_of_another_shape_is_an_error_and_nothing_else(value: object) -> None:
    try:
        rows = parse_rows(value)
    except ValueError:
        return
    assert value == [] and rows == ()


def test_orthanc_id_is_five_groups_of_eight() -> None:
    found = orthanc_id("1CT1", "1.2.3", "1.2.3.4", "1.2.3.4.5")
    assert [len(group) for group in found.split("-")] == [8] * 5
