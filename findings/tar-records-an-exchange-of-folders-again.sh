#!/usr/bin/env bash
# GNU tar 1.34 (Debian 12's tar 1.34+dfsg-1.2+deb12u1), --listed-incremental: two folders exchange
# their names between level 0 and 1. Level 1 records that, and restores right. But the snapshot has
# their inodes the wrong way round from then on: level 2, before which *nothing* changed, records the
# same exchange again. Who extracts 0, 1 and 2 in order with -xG gets the two folders exchanged back,
# each file under the other's name, with exit status 0 and no message. So does every later level.
#
# Seen: after level 1 a/f is "two" as on the disk, after level 2 it is "one". Fails if that changes.
# Needs apt and Debian 12; changes nothing on the machine.
set -euo pipefail
version=1.34+dfsg-1.2+deb12u1
place=$(mktemp -d /var/tmp/finding.XXXXXX)
trap 'rm -rf "$place"' EXIT
cd "$place"
apt-get download -q "tar=$version" >/dev/null 2>&1
dpkg-deb -x tar_*.deb package
tar=$place/package/bin/tar
mkdir -p disk/a disk/b restored
echo one >disk/a/f
echo two >disk/b/f
dump() { "$tar" -C disk --listed-incremental=snapshot -cf "$1" .; }
dump 0
mv disk/a disk/x; mv disk/b disk/a; mv disk/x disk/b
dump 1
dump 2
seen=
for level in 0 1 2; do
  "$tar" -C restored --listed-incremental=/dev/null -xf "$level"
  seen+="level $level: a/f is $(cat restored/a/f), b/f is $(cat restored/b/f)"$'\n'
done
seen+="the disk: a/f is $(cat disk/a/f), b/f is $(cat disk/b/f)"
echo "$seen"
expected='level 0: a/f is one, b/f is two
level 1: a/f is two, b/f is one
level 2: a/f is one, b/f is two
the disk: a/f is two, b/f is one'
[ "$seen" = "$expected" ] || { echo "changed: tar $version restores otherwise" >&2; exit 1; }
