#!/bin/sh
# Make a Vagrant box (libvirt) of the last image for virtual machines: .cache/image/out/vm/qafila.box.
#
# usage: box.sh                         (root; after make image)
set -eu

here=$(cd "$(dirname "$0")" && pwd)
work=${QAFILA_IMAGE-$here/../.cache/image}
work=$(cd "$work" && pwd)
out=$work/out/vm
image=$(find "$out" -name 'qafila_*.raw' ! -name '*.*.raw' -printf '%T@ %p\n' | sort -n | tail -n 1 | cut -d ' ' -f 2-)
[ "$image" ] || { echo "box: there is no image in $out; make image builds it" >&2; exit 1; }

folder=$(mktemp -d "$out/box.XXXXXX")
trap 'rm -rf "$folder"' EXIT
QAFILA_IMAGE=$work sh "$here/in-tools.sh" "$out" -- qemu-img convert -c -O qcow2 "$image" "$folder/box.img"
QAFILA_IMAGE=$work sh "$here/in-tools.sh" "$out" -- qemu-img resize -q "$folder/box.img" 16G
printf '{"provider": "libvirt", "format": "qcow2", "virtual_size": 16}\n' >"$folder/metadata.json"
printf 'Vagrant.configure("2") { |config| config.vm.provider("libvirt") { |domain| domain.disk_bus = "virtio" } }\n' >"$folder/Vagrantfile"
tar -C "$folder" -czf "$out/qafila.box" metadata.json Vagrantfile box.img
ls -l "$out/qafila.box"
