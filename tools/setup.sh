# What ./demo and ./test need, made where it is missing. Sourced by both, in the checkout.
#
#   need_root "$@"     go on as root, by sudo if need be
#   need_packages ...  install Debian packages that are missing
#   make_environment   .venv: the packages that the tests run with
#   make_installed     build/installed: asyncamanda as users install it in /opt/asyncamanda

export DEBIAN_FRONTEND=noninteractive PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
PATH=$PATH:/usr/sbin:/sbin
python=/usr/bin/python3 # Debian's own: other users must be able to run it, too

LAB_PACKAGES="python3 python3-venv openssh-client openssh-server iproute2 util-linux procps
  amanda-server amanda-client libencode-locale-perl faketime"

say() { printf '%s\n' "$*" >&2; }

need_root() {
  [ "$(id -u)" = 0 ] && return
  command -v sudo >/dev/null || { say "$0: needs root (or sudo) to make hosts on this machine"; exit 77; }
  exec sudo --preserve-env=CI,TERM,PIP_CERT,PIP_INDEX_URL "$0" "$@"
}

need_packages() {
  local missing="" package had_sshd=yes
  for package in "$@"; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q "ok installed" || missing="$missing $package"
  done
  [ -n "$missing" ] || return 0
  say "Installing Debian packages:$missing"
  [ -e /usr/sbin/sshd ] || had_sshd=no
  # nothing that is installed for the lab shall start serving on this machine
  if [ ! -e /usr/sbin/policy-rc.d ]; then
    printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
    chmod 755 /usr/sbin/policy-rc.d
    trap 'rm -f /usr/sbin/policy-rc.d' EXIT
  fi
  # shellcheck disable=SC2086 # a list of words
  { apt-get update -q && apt-get install -yq --no-install-recommends $missing; } >/var/tmp/asyncamanda-apt.log 2>&1 ||
    { tail -n 20 /var/tmp/asyncamanda-apt.log >&2; say "$0: apt-get failed"; exit 1; }
  rm -f /var/tmp/asyncamanda-apt.log
  if [ "$(head -n 2 /usr/sbin/policy-rc.d 2>/dev/null | tail -n 1)" = "exit 101" ]; then rm -f /usr/sbin/policy-rc.d; fi
  trap - EXIT
  if [ $had_sshd = no ] && [ -d /run/systemd/system ]; then
    systemctl --quiet disable ssh.service
    say "openssh-server was installed for the lab; its service stays off on this machine"
  fi
}

# _fresh FOLDER STAMP: true if FOLDER was made from what STAMP stands for
_fresh() { [ "$(cat "$1/.stamp" 2>/dev/null)" = "$2" ]; }

make_environment() {
  local stamp
  stamp=$(cat pyproject.toml constraints.txt | sha256sum)
  _fresh .venv "$stamp" && return
  say "Making .venv (the packages that the tests run with)"
  rm -rf .venv
  $python -m venv .venv
  .venv/bin/python - <<'EOF' >.venv/wanted
import tomllib
project = tomllib.load(open("pyproject.toml", "rb"))["project"]
print("\n".join(project["dependencies"] + project["optional-dependencies"]["test"]))
EOF
  .venv/bin/pip install -q -c constraints.txt -r .venv/wanted
  printf '%s' "$stamp" >.venv/.stamp
}

make_installed() {
  local stamp source
  stamp=$({ cat pyproject.toml constraints.txt README.md; find src bin -type f -not -name '*.pyc' -print0 | sort -z | xargs -0 sha256sum; } | sha256sum)
  _fresh build/installed "$stamp" && return
  say "Installing asyncamanda into build/installed, as /opt/asyncamanda"
  source=$(mktemp -d /var/tmp/asyncamanda-source.XXXXXX)
  cp -r src bin pyproject.toml README.md LICENSE "$source"
  find "$source" -name '*.egg-info' -prune -exec rm -rf {} +
  rm -rf build/installed
  mkdir -p build/installed
  local made=""
  [ -d /opt/asyncamanda ] || { mkdir -p /opt/asyncamanda; made=/opt/asyncamanda; }
  local failed=0
  # its scripts begin with the path of their python: so it must stand there while it is made
  PIP_CONSTRAINT=$PWD/constraints.txt unshare --mount bash -euc '
    mount --bind "$1" /opt/asyncamanda
    "$2" -m venv /opt/asyncamanda
    /opt/asyncamanda/bin/pip install -q "$3"
  ' make_installed "$PWD/build/installed" "$python" "$source" || failed=1
  [ -z "$made" ] || rmdir "$made"
  rm -rf "$source"
  [ $failed = 0 ] || exit 1
  printf '%s' "$stamp" >build/installed/.stamp
}
