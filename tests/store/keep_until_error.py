"""Takes in one instance after the other, says which are committed and how it ended; run under strace's faults."""

from __future__ import annotations

import sys
from pathlib import Path

from appliance.store.connect import open_unit
from appliance.store.errors import StoreError
from appliance.store.intake import FeedCursor, keep_instances
from tests.store.made import made_kept, made_stamp

BATCH_COUNT = 12


def main(path: Path) -> None:
    try:
        with open_unit(path) as db:
            for number in range(1, BATCH_COUNT + 1):
                keep_instances(db, made_stamp(), [made_kept(number)], ["pacs"], FeedCursor("kept", number))
                print(number, flush=True)
    except StoreError as error:
        print(error.kind, flush=True)
    else:
        print("done", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
