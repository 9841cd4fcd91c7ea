#!/bin/sh
# Build the Debian 13 root whose Orthanc (1.12) the tests run beside the machine's own; see orthanc13.sh.
#
# usage: debian13.sh [DIR]             (default: .cache/debian13; nothing is done when it is there)
set -eu

here=$(cd "$(dirname "$0")" && pwd)
dir=${1-$here/../../.cache/debian13}
[ ! -x "$dir/usr/sbin/Orthanc" ] || exit 0
echo "debian13: building a Debian 13 root with Orthanc in $dir (about a minute)"
exec sh "$here/debian-root.sh" trixie "$dir" orthanc orthanc-python orthanc-dicomweb dcmtk ca-certificates
