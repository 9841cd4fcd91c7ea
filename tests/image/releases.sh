#!/bin/sh
# Build the releases that the update tests and power cuts need, into QAFILA_IMAGE/out/trial, all of HEAD. 1 is HEAD; 2 and 3
# each bring the database of a later release; 2 works, 3 never passes its self-check. 4 and more are HEAD again.
#
# usage: releases.sh [LAST]             (root; LAST is 3 or more, 3 by default)
set -eu

here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)
export QAFILA_IMAGE="${QAFILA_IMAGE-$top/.cache/image}"
export QAFILA_IMAGE_OUT="$QAFILA_IMAGE/out/trial"
rm -rf "$QAFILA_IMAGE_OUT"
mkdir -p "$QAFILA_IMAGE"
later=$(mktemp -d "$QAFILA_IMAGE/later.XXXXXX")
trap 'rm -rf "$later"' EXIT
chmod 755 "$later"
store=$later/usr/lib/qafila/site/appliance/store

# usage: with_migrations NAME...    (files over the image's own, with these migrations of the unit's database behind HEAD's)
with_migrations() {
    rm -rf "$later/usr"
    mkdir -p "$store/migrations"
    lines=
    printf 'from appliance.store.migrations.base import run, unit_migrations\n' >"$store/migrations/later.py"
    for name; do
        lines="$lines        \"$name\",\\n"
        printf '\n\n@unit_migrations()\ndef %s(db):\n    run(db, "CREATE TABLE %s (later_id INTEGER PRIMARY KEY) STRICT", "INSERT INTO %s VALUES (1)")\n' \
            "$name" "$name" "$name" >>"$store/migrations/later.py"
    done
    git -C "$top" show HEAD:appliance/store/release.py | sed "/^UNIT = /,/^)/ s/^    ),\$/$lines    ),/" >"$store/release.py"
    git -C "$top" show HEAD:appliance/store/migrations/__init__.py |
        sed 's/^from appliance.store.migrations import door as door$/from appliance.store.migrations import later as later\n&/' \
            >"$store/migrations/__init__.py"
}

sh "$top/image/build.sh" vm 1
with_migrations m9901_later
QAFILA_IMAGE_EXTRA=$later sh "$top/image/build.sh" vm 2
with_migrations m9901_later m9902_later
cat >"$later/usr/lib/qafila/selfcheck-watch" <<'SHELL'
#!/bin/sh
# The unit runs, its database is the later one, and this release is bad all the same.
until /usr/bin/qafila selfcheck --config /etc/qafila/unit.toml; do sleep 2; done
exit 1
SHELL
chmod 755 "$later/usr/lib/qafila/selfcheck-watch"
QAFILA_IMAGE_EXTRA=$later sh "$top/image/build.sh" vm 3
version=4
while [ "$version" -le "${1:-3}" ]; do
    sh "$top/image/build.sh" vm "$version"
    version=$((version + 1))
done
