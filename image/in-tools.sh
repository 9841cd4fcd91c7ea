#!/bin/sh
# Run a command inside the Debian 13 tools tree that image/build.sh made, with given folders at their own paths.
#
# usage: in-tools.sh FOLDER... -- COMMAND...     (root; the tree: QAFILA_IMAGE/tools, QAFILA_IMAGE defaults to .cache/image)
#
# The mounts live in a namespace of this process alone and end with it. Every step is an exec: the process that was
# started is the command, and signals reach it. Network is this machine's.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
root=${QAFILA_IMAGE-$here/../.cache/image}/tools
[ -x "$root/usr/bin/mkosi" ] || { echo "in-tools: no tools tree in $root; make image builds it" >&2; exit 1; }

# shellcheck disable=SC2016 # expanded by the inner shell
exec unshare --mount sh -ceu '
    root=$1
    shift
    mount --bind "$root" "$root"
    mount --rbind /dev "$root/dev"
    mount --rbind /sys "$root/sys"
    mount -t proc proc "$root/proc"
    mount -t tmpfs tmpfs "$root/tmp"
    mount -t tmpfs tmpfs "$root/run"
    cp -L /etc/resolv.conf /etc/hosts "$root/etc/"
    while [ "$1" != -- ]; do
        mkdir -p "$root$1"
        mount --bind "$1" "$root$1"
        shift
    done
    shift
    exec chroot "$root" env -i PATH=/usr/sbin:/usr/bin HOME=/root LANG=C.UTF-8 "$@"
' sh "$(cd "$root" && pwd -P)" "$@"
