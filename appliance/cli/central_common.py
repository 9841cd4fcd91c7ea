"""What the centre's commands share: its configuration and its database, opened while the gateway may be running."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import SQLAlchemyError

from appliance.cli.exits import ENVIRONMENT, CliError
from central.config import CentralConfig, load_central
from central.store.database import Database
from central.store.opening import open_database


@contextmanager
def centre_of(arguments: argparse.Namespace) -> Iterator[tuple[CentralConfig, Database]]:
    """The centre's configuration and database.

    Raises:
        ConfigError: If one of them cannot be used.
        CliError: If the database fails on the way; nothing was changed then.
    """
    config = load_central(arguments.config.resolve())
    database = open_database(config)
    try:
        yield config, database
    except SQLAlchemyError as error:
        reason = str(getattr(error, "orig", None) or type(error).__name__)
        raise CliError(
            f"The gateway's database failed: {reason}. Nothing was changed. Try again, and look at the disk.",
            ENVIRONMENT,
            "database",
        ) from error
    finally:
        database.close()
