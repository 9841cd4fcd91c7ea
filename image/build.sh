#!/bin/sh
# Build the appliance's image with mkosi, from a Debian 13 tools tree that is made here when it is missing.
#
# usage: build.sh PROFILE [VERSION]     (profile: a folder of mkosi.profiles/; as root)
#
# Everything is written below QAFILA_IMAGE (default .cache/image): tools/ (mkosi, QEMU and what they need, so that a
# Debian 12 builder works too), site/ (our wheels), out/PROFILE/ (the image, the three files of an update, SBOM). Tests set
# QAFILA_IMAGE_OUT (another folder below it for the last) and QAFILA_IMAGE_EXTRA (files laid over the image's own).
set -eu

here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/.." && pwd)
work=${QAFILA_IMAGE-$top/.cache/image}
profile=${1:?usage: build.sh PROFILE [VERSION]}
output=${QAFILA_IMAGE_OUT-$work/out/$profile}
version=${2-$(git -C "$top" log -1 --format=%cd --date=format:%Y%m%d%H%M%S)}
tools_packages='ca-certificates apt debian-archive-keyring mkosi systemd systemd-repart systemd-ukify systemd-boot
    systemd-boot-tools systemd-boot-efi systemd-container erofs-utils cryptsetup-bin systemd-cryptsetup dosfstools mtools e2fsprogs kmod
    zstd xz-utils cpio python3-pefile python3-cryptography openssl qemu-system-x86 qemu-utils ovmf swtpm nftables dcmtk
    iproute2 nmap netpbm bubblewrap fdisk dpkg-dev qemu-user qemu-system-arm qemu-efi-aarch64'
started=$(date +%s)

say() { printf 'image: %s\n' "$*"; }
[ "$(id -u)" = 0 ] || { echo "image: building an image needs root" >&2; exit 1; }
[ -d "$here/mkosi.profiles/$profile" ] || { echo "image: no profile $profile; there is: $(ls "$here/mkosi.profiles" | tr '\n' ' ')" >&2; exit 1; }
case $(sed -n 's/^Architecture=//p' "$here/mkosi.profiles/$profile/mkosi.conf") in
arm64) platform=aarch64 ;;
*) platform=x86_64 ;;
esac
# Debian's packages for another processor run their own programs while they are installed.
runner=
[ "$platform" = "$(uname -m)" ] || runner="sh $here/with-$platform.sh"

if [ ! -x "$work/tools/usr/bin/mkosi" ]; then
    say "making the Debian 13 tools tree (once)"
    # shellcheck disable=SC2086 # a list of words
    sh "$here/host/debian-root.sh" trixie "$work/tools" $tools_packages
fi

# Our code and its libraries, each checked against its hash, for the image's Python 3.13.
say 'collecting the Python packages'
site=$work/site-$platform
rm -rf "$site" "$work/wheel"
mkdir -p "$site/usr/lib/qafila/site" "$site/usr/lib/python3/dist-packages"
pip="$top/.venv/bin/python -m pip --disable-pip-version-check --quiet"
platforms=
for glibc in 2_17 2_24 2_27 2_28 2_31 2_34; do platforms="$platforms --platform manylinux_${glibc}_$platform"; done
# shellcheck disable=SC2086 # lists of words
$pip install --no-deps --require-hashes --no-compile --only-binary :all: --python-version 3.13 $platforms --platform "manylinux2014_$platform" \
    --target "$site/usr/lib/qafila/site" -r "$top/requirements/run.txt" 2>"$work/pip.log" || { cat "$work/pip.log" >&2; exit 1; }
git -C "$top" archive --prefix=qafila/ HEAD | tar -x -C "$work"
$pip wheel --no-deps --no-build-isolation --wheel-dir "$work/wheel" "$work/qafila"
$pip install --no-deps --no-compile --target "$site/usr/lib/qafila/site" --upgrade "$work"/wheel/qafila-*.whl
rm -rf "$work/qafila" "$site"/usr/lib/qafila/site/bin
find "$site" -type d \( -name tests -o -name __pycache__ \) -prune -exec rm -rf {} +
# Whoever holds this key makes releases for these units. Without QAFILA_UPDATE_KEY a key for trials is made and kept here.
key=${QAFILA_UPDATE_KEY-$work/update-key.pem}
[ -s "$key" ] || (umask 077 && openssl genpkey -algorithm ed25519 -out "$key")
mkdir -p "$site/usr/lib/qafila/update-keys"
openssl pkey -in "$key" -pubout -out "$site/usr/lib/qafila/update-keys/release.pem"
echo /usr/lib/qafila/site >"$site/usr/lib/python3/dist-packages/qafila.pth"

# mkosi asks this machine's mirror, with its settings of apt; none is named here, and no debug packages are wanted.
mirror=$(apt-get indextargets --format '$(ORIGIN)|$(LABEL)|$(REPO_URI)' 'Created-By: Packages' |
    awk -F'|' '$1 == "Debian" && $2 == "Debian" { print $3; exit }')
mirror=${mirror%/}
apt=$work/sandbox/etc/apt
mkdir -p "$apt/apt.conf.d" "$apt/sources.list.d" "$output" "$work/cache" "$work/build"
apt-config dump | grep -E '^Acquire::(http|https|Check-Date|Check-Valid-Until|Max-ValidTime|Retries|Force)' \
    >"$apt/apt.conf.d/00-builder" || :
cat >"$apt/sources.list.d/mkosi.sources" <<SOURCES
Types: deb
URIs: $mirror
Suites: trixie trixie-updates
Components: main non-free-firmware
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: $mirror-security
Suites: trixie-security
Components: main non-free-firmware
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
SOURCES

say "building version $version for $profile"
export QAFILA_IMAGE="$work"
# shellcheck disable=SC2086 # a command
$runner sh "$here/in-tools.sh" "$here" "$work" -- mkosi --directory "$here" \
    --profile "$profile" --environment "QAFILA_BOARD=$profile" --image-version "$version" --force \
    --output-directory "$output" --workspace-directory "$work/build" --cache-directory "$work/cache" \
    --package-cache-dir "$work/cache" --incremental=yes --sandbox-tree "$work/sandbox" --extra-tree "$site" \
    ${QAFILA_IMAGE_EXTRA:+--extra-tree "$QAFILA_IMAGE_EXTRA"} build

out=$output/qafila_$version
"$top/.venv/bin/python" "$here/sbom.py" "$out.manifest" "$site/usr/lib/qafila/site" "$out.cdx.json"
say 'packing and signing the release'
PYTHONPATH=$top "$top/.venv/bin/python" "$here/release.py" "$output" "$version" "qafila-$profile" "$key"
say "release $(du -sh "$output/release-$version" | cut -f1)"
say "$(du -h --apparent-size "$out.raw" | cut -f1) image, $(du -h "$out.raw" | cut -f1) of it written; kernel image $(du -h "$out.efi" | cut -f1)"
say "built in $(($(date +%s) - started)) s"
ls -l "$output"
