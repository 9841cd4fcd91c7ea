#!/bin/sh
# Build a small Debian root file system with mmdebstrap, as this machine's apt would fetch it.
#
# usage: debian-root.sh SUITE DIR PACKAGE...
#
# The mirror and apt's Acquire settings (proxy, checks of dates) are those of this machine, so nothing here names one.
# DIR appears only when the root is complete.
set -eu

suite=$1 dir=$2
shift 2
[ "$(id -u)" = 0 ] || { echo "debian-root: building a Debian root needs root" >&2; exit 1; }
command -v mmdebstrap >/dev/null || { echo "debian-root: mmdebstrap is missing; make setup installs it" >&2; exit 1; }

mkdir -p "$(dirname "$dir")"
work=$(mktemp -d "$dir.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

mirror=$(apt-get indextargets --format '$(ORIGIN)|$(LABEL)|$(REPO_URI)' 'Created-By: Packages' |
    awk -F'|' '$1 == "Debian" && $2 == "Debian" { print $3; exit }')
apt-config dump | grep -E '^Acquire::(http|https|Check-Date|Check-Valid-Until|Max-ValidTime|Retries|Force)' >"$work/apt.conf" || :

# shellcheck disable=SC2086 # no mirror known: mmdebstrap's own default
mmdebstrap --quiet --variant=minbase --include="$(echo "$@" | tr ' ' ,)" --aptopt="$work/apt.conf" \
    --format=directory "$suite" "$work/root" $mirror
rm -rf "$dir"
mv "$work/root" "$dir"
