#!/bin/sh
# Install Debian packages as root without starting, stopping or restarting any Orthanc or PostgreSQL service.
#
# usage: packages.sh PACKAGE...        (only the missing ones are given; see setup.sh)
#
# Debian's orthanc package starts its service from postinst, restarts it from a trigger whenever a plugin package
# arrives, and enables it at boot. A policy-rc.d (Debian policy 9.3.3.2) forbids the first two while apt runs; masking
# the unit before orthanc is first installed forbids the third. An Orthanc that was there before is left as it is.
set -eu

policy=/usr/sbin/policy-rc.d
saved=$policy.qafila-saved
mark='# written by qafila make setup; safe to delete'
unit=/etc/systemd/system/orthanc.service

say() { printf 'setup: %s\n' "$*"; }

# Also mends what an earlier run left behind when it was killed.
restore_policy() {
    if [ -e "$saved" ]; then
        mv -f "$saved" "$policy"
    elif grep -qsF "$mark" "$policy"; then
        rm -f "$policy"
    fi
}

# A policy that was there before is still asked about every other service.
write_policy() {
    [ ! -e "$policy" ] || mv "$policy" "$saved"
    cat >"$policy" <<POLICY
#!/bin/sh
$mark
for word; do case \$word in orthanc | postgresql) exit 101 ;; esac; done
[ ! -x $saved ] || exec $saved "\$@"
exit 0
POLICY
    chmod 755 "$policy"
}

update() {
    apt-get -q update || say 'some package sources did not answer; going on with what is known of them'
}

install() {
    DEBIAN_FRONTEND=noninteractive apt-get -q -y --no-install-recommends -o DPkg::Lock::Timeout=300 install "$@"
}

exec 9<"$0"
flock 9 # two set-ups at once would take each other's policy-rc.d away

case " $* " in *' orthanc '*) orthanc_is_new=yes ;; *) orthanc_is_new= ;; esac
trap restore_policy EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM
restore_policy
write_policy

if [ "$orthanc_is_new" ] && [ ! -e "$unit" ] && [ ! -L "$unit" ]; then
    mkdir -p "${unit%/*}"
    ln -s /dev/null "$unit"
    say "Debian's own orthanc service is masked, because Qafila runs Orthanc itself (undo: systemctl unmask orthanc)"
fi

apt-get -qq --simulate install "$@" >/dev/null 2>&1 || update
if ! install "$@"; then # a list of packages that is too old names files that are gone
    update
    install "$@"
fi

if [ "$orthanc_is_new" ] && [ ! -d /run/systemd/system ] && command -v update-rc.d >/dev/null; then
    update-rc.d orthanc disable >/dev/null 2>&1 || say "Debian's orthanc may start at boot; see update-rc.d(8)"
fi
