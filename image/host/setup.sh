#!/bin/sh
# Make a plain Debian 12 or 13 ready for Qafila: Debian packages that are missing, then a virtual environment.
#
# usage: setup.sh run|test|screen|scale  (test: also what tests and checks need; the others: and what one of them needs)
#
# Says what it does, does nothing when nothing is missing, and may be interrupted and run again. It needs only what
# Debian's base has: dpkg, apt, sh, coreutils, grep.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)
venv=$top/.venv
python=/usr/bin/python3

run_packages='python3 python3-venv ca-certificates orthanc orthanc-python orthanc-dicomweb dcmtk'
test_packages='git dicom3tools dbus strace e2fsprogs btrfs-progs mount util-linux iproute2 iputils-ping iperf3 rsync tcpdump librsvg2-bin fonts-dejavu-core libfaketime tmux mmdebstrap debian-archive-keyring nftables chromium cryptsetup-bin'
screen_packages='sway foot grim wtype'
scale_packages='postgresql python3-psycopg2'

say() { printf 'setup: %s\n' "$*"; }
fail() {
    printf 'setup: %s\n' "$*" >&2
    exit 1
}

case ${1-} in
run) packages=$run_packages requirements=$top/requirements/run.txt ;;
test) packages="$run_packages $test_packages" requirements=$top/requirements/dev.txt ;;
screen | scale)
    [ "$1" = screen ] && more=$screen_packages || more=$scale_packages
    packages="$run_packages $test_packages $more" requirements=$top/requirements/dev.txt
    set -- test
    ;;
*) fail 'usage: setup.sh run|test|screen|scale' ;;
esac

command -v apt-get >/dev/null || fail 'this machine has no apt-get; Qafila is set up on Debian 12 or 13.'

missing=
for package in $packages; do
    dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed || missing="$missing $package"
done
if [ "$missing" ]; then
    say "installing from Debian:$missing"
    if [ "$(id -u)" = 0 ]; then
        as_root=
    elif command -v sudo >/dev/null; then
        as_root=sudo
    else
        fail "these Debian packages are missing and installing them needs root or sudo:$missing"
    fi
    # shellcheck disable=SC2086 # both are lists of words
    $as_root sh "$here/packages.sh" $missing || fail "Debian packages could not be installed:$missing"
fi

"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || fail "$python is older than 3.11; Debian 12 or 13 is needed."
version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')

# Node.js is too much to install for one test; where it is, the public upload client of tests/tus joins in.
tus=$top/tests/tus
if [ "$1" = test ] && command -v npm >/dev/null && ! cmp -s "$tus/package-lock.json" "$tus/node_modules/qafila-setup"; then
    say 'installing the public upload client that tests/tus drives (npm, from its lock file)'
    if (cd "$tus" && npm ci --ignore-scripts --no-audit --no-fund --silent); then
        cp "$tus/package-lock.json" "$tus/node_modules/qafila-setup"
    else
        say 'it could not be installed; its test is skipped.'
    fi
fi

# The test environment holds everything the run environment holds, so either stamp of the same inputs will do.
stamp_of() { printf '%s %s %s' "$1" "$version" "$(cat "$top/pyproject.toml" "$top/requirements/run.txt" "$2" | sha256sum)"; }
have=$(cat "$venv/qafila-setup" 2>/dev/null || :)
for kind in "$1" test; do
    case $kind in test) file=$top/requirements/dev.txt ;; *) file=$requirements ;; esac
    [ "$have" != "$(stamp_of "$kind" "$file")" ] || exit 0
done

if ! "$venv/bin/python" -c 'import sys, pip; sys.exit("%d.%d" % sys.version_info[:2] != sys.argv[1])' "$version" 2>/dev/null; then
    say "making the virtual environment .venv (Python $version)"
    "$python" -m venv --clear "$venv" || fail 'the virtual environment could not be made.'
fi
say "installing Python packages, each checked against its hash (${requirements#"$top/"})"
rm -f "$venv/qafila-setup"
pip="$venv/bin/python -m pip --disable-pip-version-check --quiet"
$pip install --require-hashes -r "$requirements" ||
    fail 'Python packages could not be installed; is there a way to a package index? Run it again when there is.'
PYTHONWARNINGS=ignore $pip install --no-deps --no-build-isolation --editable "$top" || fail 'Qafila itself could not be installed into .venv.'
stamp_of "$1" "$requirements" >"$venv/qafila-setup"
say 'ready'
