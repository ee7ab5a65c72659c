#!/usr/bin/env bash
# Amanda 3.5.1 (Debian 12's amanda-server 1:3.5.1-11+deb12u2): a holding directory's file `pid` names the
# live process that dumps into it, so that others leave it alone. Whoever looks honours that once and
# takes the file away: `amadmin find`, which only lists, hides the held dump the first time, for the
# process is alive; the second time it shows the dump, and nothing protects the directory any more.
#
# Seen: exit status 0 both times; no dump, then one; `pid` is gone after the first. Fails if that
# changes. Needs root (for a file system of its own), apt and Debian 12; changes nothing on the machine.
set -euo pipefail
version='1:3.5.1-11+deb12u2'
place=$(mktemp -d /var/tmp/finding.XXXXXX)
trap 'rm -rf "$place"' EXIT
(cd "$place" && apt-get download -q "amanda-server=$version" "amanda-common=$version" >/dev/null 2>&1)
said=$(unshare --mount --pid --fork --mount-proc bash -euc '
  cd "$1"; mkdir upper work root
  mount --make-rprivate /
  mount -t overlay overlay -o "lowerdir=/,upperdir=upper,workdir=work" root
  for package in *.deb; do dpkg-deb -x "$package" root; done
  mount -t tmpfs tmpfs root/tmp; chmod 1777 root/tmp
  mount -t proc proc root/proc
  held=root/srv/holding/20260102030405
  mkdir -p root/etc/amanda/daily root/var/log/amanda root/srv/state "$held"
  printf "%s\n" "org \"daily\"" "dumpuser \"backup\"" "logdir \"/srv/state\"" "infofile \"/srv/state\"" \
    "tapelist \"/srv/state/tapelist\"" "tapetype T" "define tapetype T {" "length 100 mbytes" "}" \
    "holdingdisk h {" "directory \"/srv/holding\"" "}" "define dumptype d {" "program \"GNUTAR\"" "}" \
    >root/etc/amanda/daily/amanda.conf
  echo "laptop /srv/docs d" >root/etc/amanda/daily/disklist
  touch root/srv/state/tapelist
  { printf "AMANDA: FILE 20260102030405 laptop /srv/docs  lev 0 comp N program /bin/tar\n\f\n"
    head -c 40000 /dev/zero; } >"$held/laptop._srv_docs.0"
  chroot root chown -R backup:backup /etc/amanda /var/log/amanda /srv
  as_backup() { exec chroot root setpriv --reuid=backup --regid=backup --init-groups "$@"; }
  as_backup sleep 600 & # the dumping process
  printf %s $! >"$held/pid"; chown --reference=root/srv "$held/pid"
  for time in first second; do
    echo "$time: $( (as_backup amadmin daily find 2>&1) | grep -c "laptop /srv/docs") dumps"
    [ -e "$held/pid" ] && echo "pid is there" || echo "pid is gone"
  done
  kill $!
' finding "$place" 2>&1) || true
echo "$said"
expected='first: 0 dumps
pid is gone
second: 1 dumps
pid is gone'
[ "$said" = "$expected" ] || { echo "changed: amadmin $version treats the file in another way" >&2; exit 1; }
