"""The one schema place, for both database files; migrations only ever add (the release before runs on this schema).

``unit.db`` holds the truth about delivery. ``door.db`` is the ledger of the Orthanc plugin: what was kept before
*Success* was answered. Two files, so that reception never waits for another writer and each can rebuild the other.
A column that may be unknown has a default; states are CHECKed against the vocabulary; what must never happen is refused
by a trigger, so that it also binds the release before and a person with a SQL prompt.
"""

# Migrations run in the order in which these are imported, which is that of their numbers.
# isort: off
from appliance.store.migrations import delivery as delivery
from appliance.store.migrations import registration as registration
from appliance.store.migrations import services as services
from appliance.store.migrations import quality as quality
from appliance.store.migrations import revision as revision
from appliance.store.migrations import commissioning as commissioning
from appliance.store.migrations import people as people
from appliance.store.migrations import answers as answers
from appliance.store.migrations import notes as notes
from appliance.store.migrations import door as door

# isort: on
from appliance.store.migrations.base import door_migrations, unit_migrations

__all__ = ["door_migrations", "unit_migrations"]
