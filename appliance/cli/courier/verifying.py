"""``qafila courier verify``: the strongest check of a stick is to plug it in again and read all of it."""

from __future__ import annotations

import argparse

from appliance.cli.common import config_of, print_json
from appliance.cli.courier.unit_side import as_cli_error, party_of
from appliance.cli.exits import ENVIRONMENT, FINE, NEEDS_PERSON, NOT_FOUND, CliError
from appliance.domain.sentences import counted
from sync.courier.errors import FormatError, StickError
from sync.courier.limits import CourierLimits
from sync.courier.sentences import REMOVE, UNTOUCHED
from sync.courier.unit_folder import UnitFolder


def run(arguments: argparse.Namespace) -> int:
    """Read everything back; write nothing."""
    party = party_of(config_of(arguments), arguments.to)
    try:
        with UnitFolder(arguments.path, party.keys, CourierLimits(), create=False) as folder:
            bad = list(folder.damaged(lambda count: None, lambda: False))
            index = folder.index
    except FileNotFoundError as error:
        raise CliError(
            f"This unit has written nothing onto {arguments.path}. Is it the right stick, and is it mounted there?",
            NOT_FOUND,
            "nothing-there",
        ) from error
    except StickError as error:
        raise as_cli_error(error) from error
    except FormatError as error:
        raise CliError(f"The stick cannot be read: {error}. {UNTOUCHED}", ENVIRONMENT, "stick-format") from error
    if arguments.json:
        facts = {"stick": index.stick, "parcel_count": len(index.parcels), "damaged": bad, "finished": index.verified}
        print_json(facts)
    elif bad:
        parcels = counted(len(bad), "parcel", "parcels")
        print(
            f"✖ The stick has lost {parcels} of {len(index.parcels)}. {UNTOUCHED} Export again, best to another stick."
        )
    elif not index.verified:
        print(f"What is on the stick is whole, but its export was not finished. {UNTOUCHED} Run the export again.")
    else:
        print(f"{REMOVE}. All {counted(len(index.parcels), 'parcel', 'parcels')} on it were read back and are whole.")
    return NEEDS_PERSON if bad or not index.verified else FINE
