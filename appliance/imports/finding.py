"""Which files a path means: itself, a folder's, or those a DICOMDIR names; never outside, never through a link."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from appliance.domain.limits import LimitSet
from appliance.imports.importer import Outcome, refused
from appliance.imports.kinds import Kind, kind_by_content, kind_by_name
from appliance.imports.problems import ImportProblem
from appliance.imports.staging import read_head


class MediumReader(Protocol):
    """Reads what a DICOMDIR names; ``Importer`` is one."""

    def list_medium(self, dicomdir: Path) -> list[list[str]]:
        """Components of each file ID."""
        ...


@dataclass(slots=True)
class Found:
    """What is to be imported, in order, and what was met on the way."""

    files: list[Path] = field(default_factory=list)
    problems: list[Outcome] = field(default_factory=list)
    left_out_count: int = 0
    """Files that are no pictures and do not pretend to be: viewers, lists, thumbnails."""


def find(paths: Sequence[Path], reader: MediumReader, limits: LimitSet) -> Found:
    """Every file that ``paths`` mean.

    Raises:
        OSError: If the data folder cannot be written, where a DICOMDIR is read.
    """
    found = Found()
    for path in paths:
        count_before = len(found.files)
        try:
            if path.is_symlink():
                raise ImportProblem("symlink")
            if path.is_dir():
                _folder(path, reader, limits, found, 0)
            elif kind_by_name(path) is Kind.DICOMDIR:
                _medium(path, reader, found)
            else:
                found.files.append(path)
            if len(found.files) > limits.import_file_count_max:
                raise ImportProblem("too-many-files")
        except ImportProblem as problem:
            del found.files[count_before:]
            found.problems.append(refused(str(path), problem))
    found.files = list(dict.fromkeys(found.files))
    return found


def _folder(folder: Path, reader: MediumReader, limits: LimitSet, found: Found, depth: int) -> None:
    """A medium's DICOMDIR says what counts; else every file that is, or claims to be, of a kind we know."""
    if depth > limits.import_folder_depth_max:
        raise ImportProblem("too-deep")
    try:
        with os.scandir(folder) as scan:
            entries = sorted(scan, key=lambda entry: entry.name)
    except OSError as error:
        raise ImportProblem("io-error", os.strerror(error.errno or 0)) from error
    dicomdir = next((entry for entry in entries if entry.name.upper() == "DICOMDIR" and entry.is_file()), None)
    if dicomdir is not None:
        _medium(Path(dicomdir.path), reader, found)
        return
    for entry in entries:
        path = Path(entry.path)
        try:
            if entry.is_symlink():
                raise ImportProblem("symlink")
            if entry.is_dir(follow_symlinks=False):
                _folder(path, reader, limits, found, depth + 1)
            elif kind_by_name(path) or kind_by_content(read_head(path)):
                found.files.append(path)
            else:
                found.left_out_count += 1
        except ImportProblem as problem:
            if problem.code == "too-many-files":
                raise
            found.problems.append(refused(str(path), problem))
        if len(found.files) > limits.import_file_count_max:
            raise ImportProblem("too-many-files")


def _medium(dicomdir: Path, reader: MediumReader, found: Found) -> None:
    ids = reader.list_medium(dicomdir)
    if not ids:
        raise ImportProblem("medium-empty")
    for parts in ids:
        try:
            found.files.append(resolve(dicomdir.parent, parts))
        except ImportProblem as problem:
            found.problems.append(refused(f"{dicomdir} ({'/'.join(parts)})", problem))


def resolve(root: Path, parts: Sequence[str]) -> Path:
    """Where a file ID (PS3.10 section 8.2) lies below ``root``, however the medium was mounted.

    Raises:
        ImportProblem: ``medium-outside`` when a component leads elsewhere, ``symlink``, or ``medium-missing``.
    """
    place = root
    for part in parts:
        if part in ("", ".", "..") or any(c in part for c in "/\\\0"):
            raise ImportProblem("medium-outside")
        place = _named(place, part)
        if place.is_symlink():
            raise ImportProblem("symlink")
    if not place.is_file():
        raise ImportProblem("medium-missing")
    return place


def _named(folder: Path, part: str) -> Path:
    """The entry of that name: exactly, or as ISO 9660 mounts show it (small letters, ``;1`` and a dot at the end)."""
    exact = folder / part
    if os.path.lexists(exact):
        return exact
    try:
        entries = sorted(folder.iterdir())
    except OSError as error:
        raise ImportProblem("medium-missing") from error
    for entry in entries:
        if entry.name.split(";")[0].rstrip(".").casefold() == part.casefold():
            return entry
    raise ImportProblem("medium-missing")
