#!/bin/sh
# Set up a plain Debian machine of the Vagrantfile as any other machine: make setup in /vagrant.
#
# usage: vagrant.sh shaped|plain        (shaped: the uplink is a bad link, 1 Mbit/s and 300 ms each way, as root)
set -eu

kind=${1:?usage: vagrant.sh shaped|plain}
apt-get -q update
DEBIAN_FRONTEND=noninteractive apt-get -q -y --no-install-recommends install make git iproute2
runuser -u vagrant -- make --no-print-directory -C /vagrant setup
if [ "$kind" = shaped ]; then
    card=$(ip -4 -o addr show to 192.168.60.0/24 | awk '{ print $2; exit }')
    tc qdisc replace dev "$card" root netem rate 1mbit delay 300ms loss 1%
fi
