#!/usr/bin/env bash
# Amanda 3.5.1 (Debian 12's amanda-client 1:3.5.1-11+deb12u2): whoever changes amandates locks it, reads it,
# writes it whole, and unlocks it, but writes what is in its buffer only after that (finish_amandates() in
# client-src/amandates.c: amfunlock(), then fclose()). So of two dumps of one client that end at once
# (maxdumps) one loses its line, though both have ended well.
#
# Seen: the first one's write is held up by strace, the second one changes the file meanwhile, and
# is not in it at the end. Fails if both are. Needs root, apt and Debian 12; changes nothing on the machine.
set -euo pipefail
version='1:3.5.1-11+deb12u2'
place=$(mktemp -d /var/tmp/finding.XXXXXX)
trap 'rm -rf "$place"' EXIT
(cd "$place" && apt-get download -q "amanda-client=$version" "amanda-common=$version" strace libunwind8 >/dev/null 2>&1)
cat >"$place/update.py" <<'PYTHON'
import ctypes, glob, sys
load = lambda name: ctypes.CDLL(glob.glob(f"/usr/lib/*/amanda/{name}-3.5.1.so")[0], mode=ctypes.RTLD_GLOBAL)
load("libamanda")
client = load("libamclient")
client.amandates_updateone.argtypes = [ctypes.c_char_p, ctypes.c_int, ctypes.c_long]
client.start_amandates(b"/tmp/amandates", 1)
client.amandates_updateone(sys.argv[1].encode(), 0, 1000000)
client.finish_amandates()
PYTHON
said=$(unshare --mount --pid --fork --mount-proc bash -euc '
  cd "$1"; mkdir upper work root
  mount --make-rprivate /
  mount -t overlay overlay -o "lowerdir=/,upperdir=upper,workdir=work" root
  for package in *.deb; do dpkg-deb --fsys-tarfile "$package" | tar -x --keep-directory-symlink -C root; done
  mount -t tmpfs tmpfs root/tmp
  mount -t proc proc root/proc
  mount --bind /dev root/dev
  cp update.py root/tmp
  touch root/tmp/amandates
  chroot root strace -qq -o /tmp/trace -P /tmp/amandates -e trace=write -e inject=write:delay_enter=3000000 \
    /usr/bin/python3 /tmp/update.py /first &
  sleep 1.5
  chroot root /usr/bin/python3 /tmp/update.py /second
  cat root/tmp/amandates
  wait
  echo "and then:"
  cat root/tmp/amandates
' finding "$place" 2>&1) || true
echo "$said"
expected='/second 0 1000000
and then:
/first 0 1000000'
[ "$said" = "$expected" ] || { echo "changed: amandates keeps both lines, or cannot be tried here" >&2; exit 1; }
