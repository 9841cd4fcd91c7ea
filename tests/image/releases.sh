#!/bin/sh
# Build the releases that the update tests and power cuts need, into QAFILA_IMAGE/out/trial: all of HEAD, and all work but
# 3, which brings the database of a later release and then never passes its self-check.
#
# usage: releases.sh [LAST]             (root; LAST is 3 or more, 3 by default)
set -eu

here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)
export QAFILA_IMAGE="${QAFILA_IMAGE-$top/.cache/image}"
export QAFILA_IMAGE_OUT="$QAFILA_IMAGE/out/trial"
rm -rf "$QAFILA_IMAGE_OUT"
version=1
while [ "$version" -le "${1:-3}" ]; do
    [ "$version" = 3 ] || sh "$top/image/build.sh" vm "$version"
    version=$((version + 1))
done

later=$(mktemp -d "$QAFILA_IMAGE/later.XXXXXX")
trap 'rm -rf "$later"' EXIT
chmod 755 "$later"
store=$later/usr/lib/qafila/site/appliance/store
mkdir -p "$store/migrations"
git -C "$top" show HEAD:appliance/store/release.py | sed '/^UNIT = /,/^)/ s/^    ),$/        "m9901_later",\n    ),/' >"$store/release.py"
git -C "$top" show HEAD:appliance/store/migrations/__init__.py |
    sed 's/^from appliance.store.migrations import door as door$/from appliance.store.migrations import later as later\n&/' \
        >"$store/migrations/__init__.py"
cat >"$store/migrations/later.py" <<'PYTHON'
from appliance.store.migrations.base import run, unit_migrations


@unit_migrations()
def m9901_later(db):
    run(db, "CREATE TABLE later (later_id INTEGER PRIMARY KEY) STRICT", "INSERT INTO later VALUES (1)")
PYTHON
cat >"$later/usr/lib/qafila/selfcheck-watch" <<'SHELL'
#!/bin/sh
# The unit runs, its database is the later one, and this release is bad all the same.
until /usr/bin/qafila selfcheck --config /etc/qafila/unit.toml; do sleep 2; done
exit 1
SHELL
chmod 755 "$later/usr/lib/qafila/selfcheck-watch"
QAFILA_IMAGE_EXTRA=$later sh "$top/image/build.sh" vm 3
