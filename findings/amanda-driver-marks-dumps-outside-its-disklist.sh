#!/usr/bin/env bash
# Amanda 3.5.1 (Debian 12's amanda-server 1:3.5.1-11+deb12u2): a driver takes the DLE of each dump that is in
# the holding disk when it starts for one of its own, also with `-o diskfile=` of a disklist that has it not
# (search_holding_disk() in server-src/find.c). When it ends it gives each unfinished dump of its DLEs its
# final name and marks it as partial. So what a run does to another one's dump of laptop depends on
# whether an older dump of laptop is held.
#
# Seen: two unfinished dumps, and a driver whose disklist has neither; one of laptop, with an older one
# held, is renamed and marked; one of tower, without, is left alone. Fails if that changes. Needs root
# (for a file system of its own), apt and Debian 12; changes nothing on the machine.
set -euo pipefail
version='1:3.5.1-11+deb12u2'
place=$(mktemp -d /var/tmp/finding.XXXXXX)
trap 'rm -rf "$place"' EXIT
(cd "$place" && apt-get download -q "amanda-server=$version" "amanda-common=$version" >/dev/null 2>&1)
said=$(unshare --mount --pid --fork --mount-proc bash -euc '
  cd "$1"; mkdir upper work root
  mount --make-rprivate /
  mount -t overlay overlay -o "lowerdir=/,upperdir=upper,workdir=work" root
  for package in *.deb; do dpkg-deb --fsys-tarfile "$package" | tar -x --keep-directory-symlink -C root; done
  mount -t tmpfs tmpfs root/tmp; chmod 1777 root/tmp
  mount -t proc proc root/proc
  mount --bind /dev root/dev
  holding=root/srv/holding
  mkdir -p root/etc/amanda/daily root/var/log/amanda root/srv/state \
    "$holding/20260102030405" "$holding/20260103030405"
  printf "%s\n" "org \"daily\"" "dumpuser \"backup\"" "logdir \"/srv/state\"" "infofile \"/srv/state\"" \
    "tapelist \"/srv/state/tapelist\"" "tapetype T" "define tapetype T {" "length 100 mbytes" "}" \
    "holdingdisk h {" "directory \"/srv/holding\"" "}" "define dumptype d {" "program \"GNUTAR\"" "}" \
    >root/etc/amanda/daily/amanda.conf
  printf "%s\n" "laptop /srv/docs d" "tower /srv/docs d" "desktop /srv/docs d" >root/etc/amanda/daily/disklist
  echo "desktop /srv/docs d" >root/srv/state/own-list
  touch root/srv/state/tapelist
  hold() { { printf "AMANDA: FILE %s %s /srv/docs  lev %s comp N program /bin/tar\n\f\n" "$1" "$2" "$3"
    head -c 40000 /dev/zero; } >"$holding/$1/$2._srv_docs.$3$4"; }
  hold 20260102030405 laptop 0 ""
  hold 20260103030405 laptop 1 .tmp
  hold 20260103030405 tower 0 .tmp
  chroot root chown -R backup:backup /etc/amanda /var/log/amanda /srv
  printf "%s\n" "DATE 20260104030405" ENDFLUSH |
    chroot root setpriv --reuid=backup --regid=backup --init-groups \
      /usr/lib/amanda/driver daily --log-filename /srv/state/log --no-taper --no-dump -odiskfile=/srv/state/own-list >driver.log 2>&1 ||
    { cat driver.log; exit 1; }
  cd "$holding/20260103030405"
  for file in *; do printf "%s " "$file"; tr -d "\0" <"$file" | grep -c PARTIAL=YES || :; done
' finding "$place" 2>&1) || true
echo "$said"
expected='laptop._srv_docs.1 1
tower._srv_docs.0.tmp 0'
[ "$said" = "$expected" ] || { echo "changed: the driver knows its disklist alone, or cannot be tried here" >&2; exit 1; }
