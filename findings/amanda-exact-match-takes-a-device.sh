#!/usr/bin/env bash
# Amanda 3.5.1 (Debian 12's amanda-server 1:3.5.1-11+deb12u2): `=` before a disk's name means "exactly
# this one" (amanda-match(7)), and amadmin takes each other DLE for meant as well whose *device* is
# the path of that name. Here `amadmin force =laptop =/srv/docs` also forces the DLE `named`, which is
# dumped from /srv/docs. Amanda keeps no other sign of which of the two was wanted.
#
# Seen: both are set to a forced level 0, exit status 0. Fails if that changes. Needs root (for a file
# system of its own), apt and Debian 12; changes nothing on the machine.
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
  mkdir -p root/etc/amanda/daily root/var/log/amanda root/srv/state
  printf "%s\n" "org \"daily\"" "dumpuser \"backup\"" "infofile \"/srv/state\"" "tapetype T" \
    "define tapetype T {" "length 100 mbytes" "}" "define dumptype d {" "program \"GNUTAR\"" "}" \
    >root/etc/amanda/daily/amanda.conf
  printf "%s\n" "laptop named /srv/docs d" "laptop /srv/docs d" "laptop /srv d" \
    >root/etc/amanda/daily/disklist
  chroot root chown -R backup:backup /etc/amanda /var/log/amanda /srv/state
  chroot root setpriv --reuid=backup --regid=backup --init-groups \
    amadmin daily force =laptop =/srv/docs
' finding "$place" 2>&1) || true
echo "$said"
expected='amadmin: laptop:named is set to a forced level 0 at next run.
amadmin: laptop:/srv/docs is set to a forced level 0 at next run.'
[ "$(printf '%s\n' "$said" | sort)" = "$(printf '%s\n' "$expected" | sort)" ] ||
  { echo "changed: amadmin $version forced something else" >&2; exit 1; }
