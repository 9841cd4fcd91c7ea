"""``qafila``: finds the command's module, runs it, and turns whatever goes wrong into a sentence and an exit code.

A command is one module with ``add(subparsers)`` that sets ``handler``, a function of the parsed arguments that returns
the exit code. Only the module of the command asked for is imported, so that ``qafila --help`` and a ``status`` in a
script stay quick. To add a command, add its line to ``COMMANDS``.
"""

from __future__ import annotations

import argparse
import importlib
import io
import json
import os
import sys
from collections.abc import Sequence

from appliance.cli.exits import BROKEN_PIPE, BUG, ENVIRONMENT, INTERRUPTED, CliError

COMMANDS: dict[str, tuple[str, str]] = {
    "unit": ("appliance.cli.unit", "run the unit's processes in the foreground"),
    "central": ("appliance.cli.central", "run the centre's processes in the foreground"),
    "demo": ("appliance.cli.demo", "run centre, unit and two simulated modalities on this machine"),
    "tui": ("appliance.cli.tui", "the screen: today's studies, the queue, and whether power may go"),
    "status": ("appliance.cli.status", "what is safe, what waits, and whether power may go"),
    "register": ("appliance.cli.register", "register a person and an exam"),
    "worklist": ("appliance.cli.worklist", "who is to be examined; cancel, discontinue, complete or reopen an exam"),
    "studies": ("appliance.cli.studies", "today's and unsent studies, or the archive"),
    "study": ("appliance.cli.study", "one study: progress, images, history"),
    "exceptions": ("appliance.cli.correcting.exceptions", "studies of which it is not clear whose they are"),
    "reconcile": ("appliance.cli.correcting.reconcile", "say which exam a study belongs to"),
    "correct": ("appliance.cli.correcting.correct", "correct what a study says"),
    "split": ("appliance.cli.correcting.split", "split pictures off to the patient whose they are"),
    "merge": ("appliance.cli.correcting.merge", "say that two patient records are one person"),
    "reject": ("appliance.cli.correcting.reject", "reject pictures for a reason of the list"),
    "undo": ("appliance.cli.correcting.undo", "take a correction, split, merge or rejection back"),
    "reports": ("appliance.cli.reports", "what the centre said: reports, retake requests, messages, orders"),
    "report": ("appliance.cli.report", "one of these; say who has seen it"),
    "quality": ("appliance.cli.quality", "what is wrong with pictures, in words"),
    "complete": ("appliance.cli.complete", "say that all of a study is here"),
    "queue": ("appliance.cli.queue", "what waits for the centre, in the order it goes, and why"),
    "journal": ("appliance.cli.journal", "what happened, line by line"),
    "hold": ("appliance.cli.hold", "keep a study here until it is released"),
    "release": ("appliance.cli.release", "let a held study go on"),
    "retry": ("appliance.cli.retry", "offer a study that was set aside again, or try its link now"),
    "stat": ("appliance.cli.stat", "mark a study as urgent, or as routine again"),
    "evict": ("appliance.cli.evict", "make room: which studies' pixels may leave this unit, and why not"),
    "import": ("appliance.cli.import_", "bring in pictures, videos, papers and DICOM media"),
    "courier": ("appliance.cli.courier", "carry studies on a USB stick, and the centre's receipts back"),
    "people": ("appliance.cli.people", "who may sign in at the screen"),
    "doctor": ("appliance.cli.doctor", "check the unit's health, or try a device out"),
    "selfcheck": ("appliance.cli.selfcheck", "would a modality be answered now?"),
    "firstboot": ("appliance.cli.firstboot", "on an appliance: say who this unit is, and lock its disk; once"),
    "power": ("appliance.cli.power", "on an appliance: watch the battery, and let it end when all is written"),
    "update": ("appliance.cli.update", "on an appliance: prove a release and install it beside this one"),
    "config": ("appliance.cli.config", "check, show or print a configuration"),
}
"""Name, module, and the line for ``qafila --help``."""

DEBUG_VARIABLE = "QAFILA_DEBUG"


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the exit codes are in ``docs/reference/cli.md``. Raises only under ``QAFILA_DEBUG=1``."""
    words = list(sys.argv[1:] if argv is None else argv)
    as_json = "--json" in words
    _let_every_name_be_shown()
    try:
        arguments = _parser(words).parse_args(words)
        code = int(arguments.handler(arguments))
        sys.stdout.flush()
        return code
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 0
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # The reader (head, less) left; Python would complain again when it flushes at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    except Exception as error:
        if os.environ.get(DEBUG_VARIABLE) == "1":
            raise
        return _say(error, as_json)


def central() -> int:
    """``qafila-central ...`` is ``qafila central ...``, for a machine that is a centre and nothing else."""
    return main(["central", *sys.argv[1:]])


def _let_every_name_be_shown() -> None:
    """A terminal that knows no Arabic or no check mark (LANG=C, a serial console) shows '?' there, never an error."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def _parser(words: list[str]) -> argparse.ArgumentParser:
    """All commands by name and line; only the one that ``words`` ask for is built in full."""
    parser = argparse.ArgumentParser(
        formatter_class=_OneLineEach,
        prog="qafila",
        description="Keeps every study of a mobile unit and delivers it when there is bandwidth.",
        epilog="Exit codes: 0 fine, 1 needs a person, 2 wrong use, 3 configuration or environment, 4 not found.",
    )
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    wanted = next((word for word in words if not word.startswith("-")), None)
    for name, (module, line) in COMMANDS.items():
        if name == wanted:
            importlib.import_module(module).add(subparsers)
        else:
            subparsers.add_parser(name, help=line)
    return parser


class _OneLineEach(argparse.HelpFormatter):
    """argparse forgets the indent of sub-commands when it makes room for their names."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog)
        self._action_max_length = max(map(len, COMMANDS)) + 4


def _say(error: Exception, as_json: bool) -> int:
    """One sentence for people on standard error and, for scripts that asked for JSON, one object on standard output."""
    known = _as_cli_error(error)
    if as_json:
        print(json.dumps({"error": known.sentence, "code": known.code, "exit_code": known.exit_code}))
    print(f"qafila: {known.sentence}", file=sys.stderr)
    return known.exit_code


def _as_cli_error(error: Exception) -> CliError:
    """Errors of the layers below get the exit code that belongs to them; imported here, for most runs need neither."""
    from appliance.config import ConfigError
    from appliance.domain.sentences import database_trouble, sentence_end
    from appliance.store.errors import StoreError

    if isinstance(error, CliError):
        return error
    if isinstance(error, ConfigError):
        return CliError(str(error), ENVIRONMENT, "config")
    if isinstance(error, StoreError):
        return CliError(f"{sentence_end(str(error))} {database_trouble(error.kind)}", ENVIRONMENT, error.kind)
    if isinstance(error, OSError):
        place = f"{error.filename}: " if error.filename else ""
        return CliError(f"{place}{error.strerror or error}. Nothing on this unit was changed.", ENVIRONMENT, "os")
    return CliError(
        f"This is a mistake in the program ({type(error).__name__}: {error}). The studies on this unit are not touched "
        f"by it. Please report it with the output of {DEBUG_VARIABLE}=1.",
        BUG,
        "bug",
    )


if __name__ == "__main__":
    sys.exit(main())
