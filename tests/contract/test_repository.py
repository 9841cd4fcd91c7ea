"""What holds for the files of the repository themselves."""

from __future__ import annotations

import re
import subprocess
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from appliance.config import load_unit
from central.config import load_central

TOP = Path(__file__).resolve().parents[2]
LINE_COUNT_MAX = 500
HOSTS_NAMED = {
    "127.0.0.1",
    "localhost",
    "github.com",
    "iana.org",
    "keepachangelog.com",
    "semver.org",
    "www.apache.org",
    "www.w3.org",
    "dicom.nema.org",
    "loinc.org",
    "terminology.hl7.org",
    "ns.adobe.com",
    "orthanc.uclouvain.be",
    "sqlite.org",
    "www.freedesktop.org",
    "www.sqlite.org",
}
"""Hosts that text may name; besides those of reserved names (RFC 2606). No index or mirror is among them."""
URL = re.compile(r"https?://(?:[^/@\s]*@)?([A-Za-z0-9.-]+)")
REGISTRY = re.compile(
    r"\b[\w.-]*(?:pypi|pythonhosted|deb\.debian|npmjs|archive\.ubuntu)[\w-]*\.(?:org|com|io|net|dev)\b"
)


def tracked(*patterns: str) -> list[Path]:
    """Text files that git tracks."""
    done = subprocess.run(
        ["git", "-C", str(TOP), "grep", "-I", "-l", "-z", "", "--", *patterns],
        capture_output=True,
        text=True,
        check=True,
    )
    return [TOP / name for name in done.stdout.split("\0") if name]


def strange_hosts(text: str) -> set[str]:
    """Hosts in ``text`` that no file of this repository may name."""
    hosts = {
        host
        for host in URL.findall(text)
        if "." in host
        and host not in HOSTS_NAMED
        and not re.search(r"(^|\.)(example|invalid|test)(\.(com|org|net))?$", host)
    }
    return hosts | set(REGISTRY.findall(text))


def test_no_file_names_a_package_registry_or_an_unknown_host() -> None:
    written = tracked(":!*.svg", ":!*/__snapshots__/*")  # pictures that Textual draws name where their font is
    found = {str(path.relative_to(TOP)): strange_hosts(path.read_text(encoding="utf-8")) for path in written}
    assert {name: hosts for name, hosts in found.items() if hosts} == {}


@pytest.mark.parametrize(
    "name", ["files.python" + "hosted.org", "https:" + "//mirror.acme.com/simple", "pypi" + ".org/simple"]
)
def test_lint_finds_a_planted_host(name: str) -> None:
    assert strange_hosts(f"index = {name}")


def test_no_source_file_is_longer_than_a_reader_holds() -> None:
    counts = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in tracked("*.py", "*.sh", "*.tcss")}
    assert {str(path.relative_to(TOP)): n for path, n in counts.items() if n > LINE_COUNT_MAX} == {}


@pytest.mark.parametrize("name", ["run", "dev"])
def test_every_requirement_is_pinned_with_hashes_and_names_no_index(name: str) -> None:
    text = (TOP / "requirements" / f"{name}.txt").read_text(encoding="utf-8")
    blocks = re.split(r"\n(?=\S)", text.strip())
    assert len(blocks) > 10
    for block in blocks:
        assert re.match(r"[A-Za-z0-9._-]+==\S+", block), block
        assert "--hash=sha256:" in block, block


def test_every_declared_dependency_is_pinned() -> None:
    project = tomllib.loads((TOP / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for declared, file in ((project["dependencies"], "run"), (project["optional-dependencies"]["dev"], "dev")):
        text = (TOP / "requirements" / f"{file}.txt").read_text(encoding="utf-8")
        pinned = set(re.findall(r"^([A-Za-z0-9._-]+)==", text, re.MULTILINE))
        names = {re.split(r"[<>=\[; ]", line)[0].lower() for line in declared}
        assert names <= pinned


def test_every_make_command_in_the_documents_exists() -> None:
    targets = set(re.findall(r"^([a-z0-9-]+):", (TOP / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    for path in tracked("*.md"):
        named = set(re.findall(r"(?:`|^\s*)make ([a-z0-9-]+)", path.read_text(encoding="utf-8"), re.MULTILINE))
        assert named <= targets, f"{path.relative_to(TOP)}: {sorted(named - targets)}"


def test_every_target_of_the_makefile_has_a_line_of_help() -> None:
    done = subprocess.run(["make", "-s", "-C", str(TOP), "help"], capture_output=True, text=True, check=True)
    for target in ("setup", "demo", "test", "lint", "sim", "bench", "help", "power-cuts", "kills", "debian13-root"):
        assert re.search(rf"^  make {target} +\S", done.stdout, re.MULTILINE), target


def test_every_link_between_documents_leads_somewhere() -> None:
    for path in tracked("*.md"):
        for link in re.findall(r"\]\(([^)#\s]+)", path.read_text(encoding="utf-8")):
            if "://" not in link:
                assert (path.parent / link).exists(), f"{path.relative_to(TOP)} -> {link}"


def test_every_page_of_the_documentation_is_in_its_index() -> None:
    index = TOP / "docs" / "README.md"
    linked = {
        (index.parent / link).resolve() for link in re.findall(r"\]\(([^)#\s]+)", index.read_text(encoding="utf-8"))
    }
    assert {
        str(page.relative_to(TOP)) for page in tracked("docs/*.md") if page != index and page not in linked
    } == set()


@pytest.mark.parametrize(("table", "read"), [("[unit]", load_unit), ("[centre]", load_central)])
def test_every_configuration_in_the_documents_can_be_used(
    tmp_path: Path, table: str, read: Callable[[Path], object]
) -> None:
    blocks = [
        block
        for path in tracked("*.md")
        for block in re.findall(r"```toml\n(.*?)```", path.read_text(encoding="utf-8"), re.DOTALL)
        if table in block
    ]
    assert blocks
    for block in blocks:
        (tmp_path / "config.toml").write_text(block, encoding="utf-8")
        read(tmp_path / "config.toml")


def test_every_decision_record_has_the_same_shape() -> None:
    records = sorted((TOP / "docs" / "decisions").glob("*.md"))
    assert records
    numbers = [path.name[:4] for path in records]
    assert len(set(numbers)) == len(numbers), "two records of one number"
    for path in records:
        text = path.read_text(encoding="utf-8")
        assert re.fullmatch(r"[0-9]{4}-[a-z0-9-]+\.md", path.name), path.name
        assert text.startswith(f"# {int(path.name[:4])}. "), path.name
        assert re.findall(r"^## (.+)$", text, re.MULTILINE) == ["Context", "Choice", "Consequences"], path.name
        assert len(text.splitlines()) <= 60, f"{path.name} is longer than a page"
