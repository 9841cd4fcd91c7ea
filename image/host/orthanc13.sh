#!/bin/sh
# Run the Orthanc of the Debian 13 root with this machine's data folders at the same paths; usable as orthanc.command.
#
# usage: orthanc13.sh ARGUMENT...      (root: QAFILA_DEBIAN13, otherwise .cache/debian13)
#
# The mounts live in a namespace of this process alone and end with it. Every step is an exec: the process that was
# started is the Orthanc, and signals reach it.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
root=${QAFILA_DEBIAN13-$here/../../.cache/debian13}
[ -x "$root/usr/sbin/Orthanc" ] || { echo "orthanc13: no Debian 13 root in $root; make debian13-root builds it" >&2; exit 1; }

# shellcheck disable=SC2016 # expanded by the inner shell
exec unshare --mount sh -ceu '
    root=$1
    shift
    for dir in /* /var/tmp; do
        case $dir in
        /bin | /boot | /etc | /lib* | /sbin | /usr | /var | /lost+found) continue ;;
        esac
        [ -d "$dir" ] || continue
        mkdir -p "$root$dir"
        mount --rbind "$dir" "$root$dir"
    done
    exec chroot "$root" /usr/sbin/Orthanc "$@"
' sh "$(cd "$root" && pwd -P)" "$@"
