#!/usr/bin/env bash
# Amanda 3.5.1 (Debian 12's amanda-server 1:3.5.1-11+deb12u2) keeps what it knows of a disk's dumps in
# a folder named after the disk, with `/`, `:` and `\` all written as `_`. Two disks whose names differ
# in these only are one to it: what is noted of one is found of the other. So a disk that is renamed
# from /srv/docs to :srv:docs takes over the old one's levels, its first dump is an incremental, and
# that is a success; the files that did not change since are in no dump of the new name.
#
# (It refuses a disklist with both at once, and does not notice that one took the other's place.)
#
# Seen: after `amadmin force =laptop =/srv/docs`, and the renaming, the mark stands for :srv:docs, which
# was never named. Fails if that changes. Needs root (for a file system of its own), apt and Debian 12; changes
# nothing on the machine.
set -euo pipefail
version='1:3.5.1-11+deb12u2'
place=$(mktemp -d /var/tmp/finding.XXXXXX)
trap 'rm -rf "$place"' EXIT
(cd "$place" && apt-get download -q "amanda-server=$version" "amanda-common=$version" >/dev/null 2>&1)
said=$(unshare --mount bash -euc '
  cd "$1"; mkdir upper work root
  mount --make-rprivate /
  mount -t overlay overlay -o "lowerdir=/,upperdir=upper,workdir=work" root
  mount -t tmpfs tmpfs root/tmp; chmod 1777 root/tmp
  for package in *.deb; do dpkg-deb -x "$package" root; done
  mkdir -p root/etc/amanda/daily root/var/log/amanda root/srv/state
  printf "%s\n" "org \"daily\"" "dumpuser \"backup\"" "infofile \"/srv/state\"" "tapetype T" \
    "define tapetype T {" "length 100 mbytes" "}" "define dumptype d {" "program \"GNUTAR\"" "}" \
    >root/etc/amanda/daily/amanda.conf
  disklist=root/etc/amanda/daily/disklist
  echo "laptop /srv/docs d" >"$disklist"
  chroot root chown -R backup:backup /etc/amanda /var/log/amanda /srv/state
  amadmin() { chroot root setpriv --reuid=backup --regid=backup --init-groups amadmin daily "$@"; }
  amadmin force =laptop =/srv/docs
  echo "laptop :srv:docs /srv/docs d" >"$disklist"
  amadmin info =laptop =:srv:docs
  find root/srv/state -name info -printf "%P\n"
' finding "$place" 2>/dev/null) || true
echo "$said"
[[ $said == *'laptop:/srv/docs is set to a forced level 0'*'(Forcing to level 0 dump at next run)'*'laptop/_srv_docs/info' ]] ||
  { echo "changed: amadmin $version keeps the two apart, or says it in other words" >&2; exit 1; }
[ "$(grep -c /info <<<"$said")" = 1 ]
