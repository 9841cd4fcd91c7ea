"""The centre's database, opened with this release's schema by whichever process comes first."""

from __future__ import annotations

from sqlite3 import OperationalError as _SqliteError

from sqlalchemy.exc import SQLAlchemyError

from appliance.config import ConfigError
from central.config import CentralConfig
from central.store.database import Database, StoreError
from central.store.migrations import migrate


def open_database(config: CentralConfig) -> Database:
    """The centre's database with this release's schema.

    Raises:
        ConfigError: If it cannot be used; the text says why.
    """
    try:
        if config.database_path is not None:
            config.database_path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        database = Database(config.database_url)
        migrate(database, config.database_path)
        return database
    except (StoreError, SQLAlchemyError, _SqliteError, OSError) as error:
        place = config.gateway.database_url or config.database_path
        reason = str(getattr(error, "orig", None) or error).splitlines()[0]
        raise ConfigError(f"{place}: the gateway's database cannot be used: {reason}. Nothing was changed") from error
