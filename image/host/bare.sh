#!/bin/sh
# Run make targets of a fresh clone of HEAD in a Debian root that has nothing but make, git and ca-certificates.
#
# usage: bare.sh bookworm|trixie MAKE_ARGUMENT...
#
# This is how "works on a bare machine" is proved. The root is new each time, lives in .cache/ and is removed at the
# end, whatever the end. Network and kernel are this machine's; so are its pip settings, certificates and local
# package folders, if it has any. Processes end with their own PID namespace, mounts with their mount namespace.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)
suite=$1
shift
root=$top/.cache/bare-$suite.$$

[ "$(id -u)" = 0 ] || { echo "bare: a chroot needs root" >&2; exit 1; }
trap 'rm -rf --one-file-system "$root"' EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

echo "bare: building a bare $suite root"
sh "$here/debian-root.sh" "$suite" "$root" make git ca-certificates
git clone -q --no-hardlinks "$top" "$root/qafila"

for file in /etc/resolv.conf /etc/hosts /etc/pip.conf /root/.config/pip/pip.conf /etc/ssl/certs/ca-certificates.crt; do
    [ ! -f "$file" ] || { mkdir -p "$root${file%/*}" && cp -L --remove-destination "$file" "$root$file"; }
done
folders=$({ cat /etc/pip.conf /root/.config/pip/pip.conf 2>/dev/null; printenv PIP_FIND_LINKS PIP_EXTRA_INDEX_URL PIP_INDEX_URL; } |
    grep -oE '(file:/)?(/[A-Za-z0-9._-]+)+' | sed 's,^file:/*,/,; s,/simple$,,' | sort -u)
for name in $(awk 'BEGIN { for (name in ENVIRON) print name }'); do
    case $name in
    PIP_* | SSL_CERT_* | http_proxy | https_proxy | no_proxy | QAFILA_*) ;;
    *) unset "$name" 2>/dev/null || : ;;
    esac
done
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8

# shellcheck disable=SC2016 # expanded by the inner shell
unshare --mount --pid --fork --kill-child sh -ceu '
    root=$1 folders=$2
    shift 2
    mount --bind "$root" "$root" # tests make mount namespaces of their own, which needs a root that is a mount point
    for dir in /dev /sys; do mount --rbind "$dir" "$root$dir"; done
    mount -t proc proc "$root/proc"
    for dir in $folders; do
        case $dir in /etc/* | /usr/*) continue ;; esac
        [ -d "$dir" ] || continue
        mkdir -p "$root$dir"
        mount --bind -o ro "$dir" "$root$dir"
    done
    chroot "$root" make --no-print-directory -C /qafila "$@"
    exit $?
' sh "$root" "$folders ${QAFILA_TEST_DATA-}" "$@"
