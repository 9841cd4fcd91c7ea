#!/bin/sh
# Run a command while this machine also runs arm64 programs, by QEMU of the tools tree (root).
#
# usage: with-aarch64.sh COMMAND...       (the tree: QAFILA_IMAGE/tools, QAFILA_IMAGE defaults to .cache/image)
#
# Where the machine does so already, nothing is changed; otherwise the kernel is told, and told to forget it at the end.
# The flag F opens QEMU now: it is found from inside every root.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
qemu=${QAFILA_IMAGE-$here/../.cache/image}/tools/usr/bin/qemu-aarch64
formats=$(mktemp -d)
mount -t binfmt_misc binfmt_misc "$formats" || { echo "with-aarch64: this kernel has no binfmt_misc" >&2; exit 1; }
finish() {
    [ ! -e "$formats/qafila-aarch64" ] || echo -1 >"$formats/qafila-aarch64"
    umount "$formats"
    rmdir "$formats"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

if ! grep -qs '^magic 7f454c460201010000000000000000000200b7' "$formats"/*; then
    head='\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00'
    mask='\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff'
    printf '%s' ":qafila-aarch64:M::$head:$mask:$qemu:F" >"$formats/register"
fi
"$@"
