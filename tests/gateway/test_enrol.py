"""A new unit: the code works once, for its name, within its time, and both sides prove that they know it."""

from __future__ import annotations

import itertools
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from sync.wire.proofs import plain_code, shown_code, unit_proof
from tests.gateway.rig import Gateway, Unit, problem


@pytest.fixture
def newcomer(gateway: Gateway) -> Iterator[Unit]:
    with Unit(gateway.url, f"new-{next(_NUMBERS)}") as made:
        yield made


_NUMBERS = itertools.count()


def _refused(answer: object) -> None:
    document = problem(answer)  # type: ignore[arg-type]  # an httpx.Response
    assert document["status"] == 403
    assert document["type"].endswith(":enrolment")


def test_code_takes_one_unit_in_and_the_same_request_gets_the_same_answer(gateway: Gateway, newcomer: Unit) -> None:
    code = gateway.code(newcomer.name)
    first = newcomer.enrol(code)
    assert first.status_code == 200
    assert newcomer.enrol(code).content == first.content, "an answer that was lost is given again"
    with Unit(gateway.url, newcomer.name) as thief:
        _refused(thief.enrol(code))
    assert newcomer.open_session().status_code == 200


def test_wrong_proof_is_refused_and_does_not_spend_the_code(gateway: Gateway, newcomer: Unit) -> None:
    code = gateway.code(newcomer.name)
    _refused(newcomer.enrol(code, proof=b"guessed"))
    _refused(newcomer.enrol(code, proof=unit_proof(code, "another name", newcomer.public_key)))
    assert newcomer.enrol(code).status_code == 200


def test_code_is_void_after_too_many_guesses(gateway: Gateway, newcomer: Unit) -> None:
    code = gateway.code(newcomer.name)
    for _ in range(gateway.config.gateway.limits.enrol_wrong_count_max):
        _refused(newcomer.enrol(code, proof=b"guessed"))
    _refused(newcomer.enrol(code))


def test_code_is_void_when_its_time_is_over(gateway: Gateway, newcomer: Unit) -> None:
    _refused(newcomer.enrol(gateway.code(newcomer.name, valid_s=-5.0)))


def test_code_is_for_one_name(gateway: Gateway, newcomer: Unit) -> None:
    code = gateway.code(newcomer.name)
    with Unit(gateway.url, "somebody-else") as stranger:
        _refused(stranger.enrol(code))


def test_what_is_no_key_is_refused(gateway: Gateway, newcomer: Unit) -> None:
    import msgspec

    from sync.wire.messages import EnrolRequest

    asked = EnrolRequest(code_id="ABCD", unit_name=newcomer.name, public_key="AAAA", proof="AAAA")
    assert newcomer.http.post("/v1/enrol", content=msgspec.json.encode(asked)).status_code == 400


def test_unit_that_was_revoked_is_enrolled_anew_under_its_name(gateway: Gateway, newcomer: Unit) -> None:
    from appliance.cli.main import main

    newcomer.enrol(gateway.code(newcomer.name))
    old_id = newcomer.unit_id
    assert main(["central", "revoke", newcomer.name, "--config", str(gateway.toml)]) == 0
    assert newcomer.enrol(gateway.code(newcomer.name)).status_code == 200
    assert newcomer.unit_id != old_id
    assert newcomer.open_session().status_code == 200


def test_keys_and_database_are_readable_by_their_owner_alone(gateway: Gateway, unit: Unit) -> None:
    data = Path(gateway.config.data_dir)
    private = [*(data / "keys").iterdir(), data / "gateway.db"]
    assert len(private) == 3
    assert {stat.S_IMODE(path.stat().st_mode) for path in private} == {0o600}
    assert not any(text in gateway.log_text() for text in (unit.token, "PRIVATE", "SECRET"))


def test_codes_are_read_as_people_type_them() -> None:
    assert plain_code(" abcd-ef01 2345-olI7 ") == "ABCDEF0123450117"
    assert shown_code("ABCDEF0123450117") == "ABCD-EF01-2345-0117"
    for wrong in ("", "ABCD", "ABCD-EF01-2345-6789-0", "ABCD-EF01-2345-678U"):
        with pytest.raises(ValueError, match="four groups of four"):
            plain_code(wrong)
