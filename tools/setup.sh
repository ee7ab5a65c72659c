# shellcheck shell=bash
# What ./demo, ./test and tools/with-debian need, made where it is missing. Sourced by all of
# them, in the checkout.
#
#   need_root "$@"     go on as root, by sudo if need be; $self: the script, if not in the top folder
#   need_packages ...  install Debian packages that are missing
#   make_environment   .venv: the packages that the tests run with
#   make_installed     build/installed: asyncamanda as users install it in /opt/asyncamanda
#   make_covered       build/covered: the same, and each of its processes notes which lines it runs

export DEBIAN_FRONTEND=noninteractive PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
PATH=$PATH:/usr/sbin:/sbin
python=/usr/bin/python3 # Debian's own: other users must be able to run it, too

# shellcheck disable=SC2034 # both scripts use it
LAB_PACKAGES="python3 python3-venv openssh-client openssh-server iproute2 iputils-ping nftables
  util-linux procps amanda-server amanda-client libencode-locale-perl faketime openssl"
# shellcheck disable=SC2034
TEST_PACKAGES="age btrfs-progs zstd cron anacron systemd dbus python3-dbusmock gir1.2-glib-2.0" # for a laptop's life
# what another user or another root is told of whoever calls
KEPT_ENVIRON=CI,ASYNCAMANDA_CI,LAB_SLOWNESS,TERM,PIP_CERT,PIP_INDEX_URL,http_proxy,https_proxy,no_proxy

say() { printf '%s\n' "$*" >&2; }

# show_clock: count the seconds on standard error, until it is ended or the script is gone
show_clock() {
  local began=$SECONDS
  while kill -0 $$ 2>/dev/null; do
    printf '\r  %d s' $((SECONDS - began)) >&2
    sleep 1
  done
}

# timed TEXT COMMAND...: say what is being done, and on a terminal for how long by now
timed() {
  local began=$SECONDS clock='' status=0
  say "$1"
  if [ -t 2 ]; then show_clock & clock=$!; fi
  "${@:2}" || status=$? # so -e is off in a function: its commands are to be joined by &&
  if [ -n "$clock" ]; then
    kill "$clock"
    wait "$clock" 2>/dev/null || :
    printf '\r  took %d s\n' $((SECONDS - began)) >&2
  fi
  return $status
}

need_root() {
  [ "$(id -u)" = 0 ] && return
  command -v sudo >/dev/null || { say "$0: needs root (or sudo) to make hosts on this machine"; exit 77; }
  exec sudo --preserve-env=$KEPT_ENVIRON,ASYNCAMANDA_OTHER_ROOT "${self:-$PWD/${0##*/}}" "$@"
}

# on_exit COMMAND: have it run when the script ends, however that is
cleanups=:
on_exit() {
  cleanups="$1; $cleanups"
  # shellcheck disable=SC2064 # as it is now
  trap "$cleanups" EXIT
}

# Nothing that is installed for the lab shall start serving on this machine.
policy=/usr/sbin/policy-rc.d
policy_mark="# by asyncamanda's set-up, for its own duration"
allow_services() { if grep -qsF "$policy_mark" $policy; then rm -f $policy; fi; }
forbid_services() {
  allow_services # of a set-up that was killed
  [ ! -e $policy ] || return 0
  on_exit allow_services
  printf '#!/bin/sh\n%s\nexit 101\n' "$policy_mark" >$policy
  chmod 755 $policy
}

# install_packages LOG PACKAGE...; another apt may be at work on a machine just begun
install_packages() {
  { apt-get update -q && apt-get install -o DPkg::Lock::Timeout=300 -yq --no-install-recommends "${@:2}"; } >"$1" 2>&1
}

need_packages() {
  local missing="" package had_sshd=yes log
  for package in "$@"; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q "ok installed" || missing="$missing $package"
  done
  [ -n "$missing" ] || return 0
  [ "$(id -u)" = 0 ] || { say "$0: as root, first: apt-get install$missing"; exit 77; }
  [ -e /usr/sbin/sshd ] || had_sshd=no
  log=$(mktemp /var/tmp/asyncamanda-apt.XXXXXX)
  on_exit "rm -f $log"
  forbid_services
  # shellcheck disable=SC2086 # a list of words
  timed "Installing Debian packages:$missing" install_packages "$log" $missing ||
    { tail -n 20 "$log" >&2; say "$0: apt-get failed"; exit 1; }
  allow_services
  if [ $had_sshd = no ] && [ -d /run/systemd/system ]; then
    systemctl --quiet disable ssh.service
    say "openssh-server was installed for the lab; its service stays off on this machine"
  fi
}

# own FOLDER: what was made by way of sudo belongs to whoever called it
own() { [ -z "${SUDO_UID:-}" ] || chown -R "$SUDO_UID:${SUDO_GID:-$SUDO_UID}" "$1"; }

# is_fresh FOLDER STAMP: whether FOLDER was made from what STAMP stands for
is_fresh() { [ "$(cat "$1/.stamp" 2>/dev/null)" = "$2" ]; }

# fill_environment REQUIREMENTS
fill_environment() {
  rm -rf .venv &&
    $python -m venv .venv &&
    .venv/bin/pip install -qq -c constraints.txt -r <(printf '%s\n' "$1")
}

make_environment() {
  local wanted stamp
  wanted=$($python - <<'EOF'
import tomllib
with open("pyproject.toml", "rb") as file:
    project = tomllib.load(file)["project"]
extras = project["optional-dependencies"]
print(*project["dependencies"], *extras["notify"], *extras["server"], *extras["test"], sep="\n")
EOF
  )
  stamp=$({ printf '%s\n' "$wanted"; cat constraints.txt; } | sha256sum)
  is_fresh .venv "$stamp" && return
  timed "Making .venv (the packages that the tests run with)" fill_environment "$wanted"
  printf '%s' "$stamp" >.venv/.stamp
  own .venv
}

make_installed() {
  local stamp source
  stamp=$({ cat pyproject.toml constraints.txt README.md; find src bin contrib docs -type f -not -name '*.pyc' -print0 | sort -z | xargs -0 sha256sum; } | sha256sum)
  is_fresh build/installed "$stamp" && return
  source=$(mktemp -d /var/tmp/asyncamanda-source.XXXXXX)
  on_exit "rm -rf $source"
  cp -r src bin contrib docs pyproject.toml README.md CHANGELOG.md LICENSE "$source"
  rm -rf "$source"/src/*.egg-info build/installed
  mkdir -p build/installed
  if [ ! -d /opt/asyncamanda ]; then
    on_exit "rmdir /opt/asyncamanda"
    mkdir -p /opt/asyncamanda
  fi
  # shellcheck disable=SC2016 # the inner bash expands it
  # its scripts begin with the path of their python: so it must stand there while it is made
  timed "Installing asyncamanda into build/installed, as /opt/asyncamanda" \
    env PIP_CONSTRAINT="$PWD/constraints.txt" unshare --mount bash -euc '
    mount --bind "$1" /opt/asyncamanda
    "$2" -m venv /opt/asyncamanda
    /opt/asyncamanda/bin/pip install -qq "$3[server,notify]"
  ' make_installed "$PWD/build/installed" "$python" "$source"
  printf '%s' "$stamp" >build/installed/.stamp
  own build
}

make_covered() {
  local site
  make_installed
  rm -rf build/covered
  cp -a build/installed build/covered
  site=$(echo build/covered/lib/python3*/site-packages)
  cp -r .venv/lib/python3*/site-packages/coverage pyproject.toml "$site"
  # what it starts is told nothing of it
  cat >"$site/coverage.pth" <<'EOF'
import os, coverage; os.environ["COVERAGE_PROCESS_START"] = os.path.dirname(os.path.dirname(coverage.__file__)) + "/pyproject.toml"; coverage.process_startup(); del os.environ["COVERAGE_PROCESS_START"]
EOF
  own build
}

# end: tidy up before the script gives way to another program by exec
end() { trap - EXIT; eval "$cleanups"; cleanups=:; }
