#!/usr/bin/env bash
# Amanda 3.5.1 (Debian 12's amanda-server 1:3.5.1-11+deb12u2): a dumptype that names another one gets
# what that one says (amanda.conf(5)), but not its `comprate`. Here `base` says `comprate 1, 1`,
# `compress client fast` and `maxpromoteday 0`; `derived` names it, and has both of the others, and
# a comprate of 0.5 again. The planner then takes half of a first dump for what will be left of it.
#
# Seen: COMPRATE 1 in base and 0.5 in derived; COMPRESS and MAXPROMOTEDAY are alike. Fails if that
# changes. Needs root (for a file system of its own), apt and Debian 12; changes nothing on the machine.
set -euo pipefail
version='1:3.5.1-11+deb12u2'
place=$(mktemp -d /var/tmp/finding.XXXXXX)
trap 'rm -rf "$place"' EXIT
(cd "$place" && apt-get download -q "amanda-server=$version" "amanda-common=$version" >/dev/null 2>&1)
said=$(unshare --mount bash -euc '
  cd "$1"; mkdir upper work root
  mount --make-rprivate /
  mount -t overlay overlay -o "lowerdir=/,upperdir=upper,workdir=work" root
  for package in *.deb; do dpkg-deb -x "$package" root; done
  mount -t tmpfs tmpfs root/tmp; chmod 1777 root/tmp
  mkdir -p root/etc/amanda/daily root/var/log/amanda
  printf "%s\n" "org \"daily\"" "dumpuser \"backup\"" "define dumptype base {" "comprate 1, 1" \
    "compress client fast" "maxpromoteday 0" "}" "define dumptype derived {" "base" "}" \
    >root/etc/amanda/daily/amanda.conf
  : >root/etc/amanda/daily/disklist
  chroot root chown -R backup:backup /etc/amanda /var/log/amanda
  chroot root setpriv --reuid=backup --regid=backup --init-groups amadmin daily config
' finding "$place" 2>&1) || true
seen=$(awk '/^DEFINE DUMPTYPE/ { name = $3 }
  name ~ /^"?(base|derived)"?$/ && $1 ~ /^(COMPRATE|COMPRESS|MAXPROMOTEDAY)$/ {
    gsub(/"/, "", name); $1 = $1; print name, $0 }' <<<"$said" | sort)
echo "$seen"
expected='base COMPRATE 1.00000 1.00000
base COMPRESS CLIENT FAST
base MAXPROMOTEDAY 0
derived COMPRATE 0.50000 0.50000
derived COMPRESS CLIENT FAST
derived MAXPROMOTEDAY 0'
[ "$seen" = "$expected" ] || { echo "changed: amadmin $version says something else" >&2; exit 1; }
