#!/usr/bin/env bash
# GNU tar 1.34 (Debian 12's tar 1.34+dfsg-1.2+deb12u1), --listed-incremental: the list of names at the
# head of each folder (the dumpdir) has excluded files, too, and flags them as it flags those that
# have not changed since the level before, N, even at level 0. So the list of a full dump names files
# that no image has; and where a file is excluded only from some day on, the lists go on to say
# "unchanged", though it changes: who looks for it in the newest image that has it gets old contents.
#
# Seen: N for the excluded file at both levels, Y at the level before it was excluded. Fails if that
# changes. Needs apt and Debian 12; changes nothing on the machine.
set -euo pipefail
version=1.34+dfsg-1.2+deb12u1
place=$(mktemp -d /var/tmp/finding.XXXXXX)
trap 'rm -rf "$place"' EXIT
cd "$place"
apt-get download -q "tar=$version" >/dev/null 2>&1
dpkg-deb -x tar_*.deb package
tar=$place/package/bin/tar
mkdir disk
echo old >disk/later
echo old >disk/never
dump() { "$tar" -C disk --listed-incremental=snapshot --exclude=./never "${@:2}" -cf "$1" .; }
list() { "$tar" --list --incremental -vvf "$1" | tr '\0' '\n' | grep -aE '^[YN] ' | sort -k2 | paste -sd, -; }
dump 0
echo new >disk/later
echo new >disk/never
dump 1 --exclude=./later
seen="level 0: $(list 0)
level 1: $(list 1)"
echo "$seen"
expected='level 0: Y later,N never
level 1: N later,N never'
[ "$seen" = "$expected" ] || { echo "changed: tar $version flags otherwise" >&2; exit 1; }
