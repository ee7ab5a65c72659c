"""The command `schedule`, on a host with an /etc of its own, and what real tools say of its files.

No systemd runs there. Where it matters what is asked of one, a systemctl that notes it does.
"""

from __future__ import annotations

import os
import re
import signal
import stat
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pexpect.fdpexpect
import pytest
from tests.system.conftest import PYTHON

from asyncamanda.core.model import Outcome
from asyncamanda.core.schedule import prove_units, restore_units, systemd
from asyncamanda.core.schedule.schedule import ANACRONTAB, CRON_FILE, DISPATCHER, POLKIT_RULE
from lab.patience import at_most

if TYPE_CHECKING:
    from tests.system.conftest import Done, Rig

FAKES = "/srv/fakes"
CALLS = "/srv/systemctl.calls"
RECORD = "/var/lib/asyncamanda/schedule.json"
BY_GATE = 'server = "backup@amanda"\n'  # a client.toml
RESTORE_UNITS = (restore_units.SERVICE_FILE, restore_units.SOCKET_FILE)
PROVE_UNITS = (prove_units.SERVICE_FILE, prove_units.TIMER_FILE)
UNITS = (systemd.SERVICE_FILE, systemd.TIMER_FILE, systemd.NUDGE_FILE)
# it is asked for what the last `enable` and `disable` made of it
SYSTEMCTL = f"""\
#!/bin/sh
echo "$*" >>{CALLS}
verb=$1; shift
unit=$1; for last; do case $last in *.timer | *.service | *.socket) unit=$last ;; esac; done
case "$verb" in
    enable)
        test ! -e /srv/refusing || {{ echo "it is broken" >&2; exit 1; }}
        mkdir -p /srv/on; for unit; do touch "/srv/on/$unit"; done ;;
    disable) for unit; do rm -f "/srv/on/$unit"; done ;;
    is-enabled) test -e "/srv/on/$unit" ;;
    is-active) test -e "/srv/on/$unit" && echo active || {{ echo inactive; exit 3; }} ;;
    show) test "$4" = --timestamp=unix && test -e "/srv/on/$1" && echo @1900000000 || echo n/a ;;
esac
"""

_DROPPED = ",".join(["-all", *(f"+{name[4:].lower()}" for name in systemd.CAPABILITIES)])
_MOUNT = """\
mount -t proc -o hidepid=invisible proc /proc
for place in /etc /usr /home /root; do
    mount --bind $place $place
    mount -o remount,bind,ro $place
done
exec "$@"
"""
SANDBOX = (
    *("unshare", "--mount", "sh", "-e", "-c", _MOUNT, "sh"),
    *("setpriv", f"--bounding-set={_DROPPED}", "--inh-caps=-all"),
)


@dataclass(frozen=True, slots=True)
class Ground:
    """The laptop, with a configuration, and with what may start an agent there."""

    rig: Rig

    def schedule(self, *words: str, **how: Any) -> Done:
        """Start `asyncamanda schedule` with `words`; its systemctl is the fake one."""
        how.setdefault("environ", {"PATH": f"{FAKES}:{os.defpath}:/usr/sbin"})
        return self.rig.run("schedule", *words, **how)

    def boot_systemd(self) -> None:
        """Let it look as if systemd ran, and be a fake one."""
        self.rig.laptop.make_directory("/run/systemd/system")
        self.rig.laptop.write(f"{FAKES}/systemctl", SYSTEMCTL, mode=0o755)

    def calls(self) -> list[str]:
        """Return what systemctl was asked to change, and forget it."""
        path = self.rig.laptop.path(CALLS)
        lines = path.read_text().splitlines() if path.exists() else []
        path.unlink(missing_ok=True)
        return [
            line for line in lines if line.split()[0] not in {"is-enabled", "is-active", "show"}
        ]

    def etc(self) -> dict[str, tuple[int, bytes]]:
        """Return what is below /etc, but for our configuration: modes, contents, links' ends."""
        top = self.rig.laptop.path("/etc")
        found = {}
        for folder, folders, names in os.walk(top):
            if Path(folder) == top and "asyncamanda" in folders:
                folders.remove("asyncamanda")
            for name in (*folders, *names):
                path = Path(folder, name)
                status = path.lstat()
                content = b""
                if path.is_symlink():
                    content = os.fsencode(os.readlink(path))  # noqa: PTH115
                elif path.is_file():
                    content = path.read_bytes()
                found[str(path.relative_to(top))] = (status.st_mode, content)
        return found

    def write(self, path: str, text: str) -> None:
        """Write a file on the laptop."""
        self.rig.laptop.write(path, text)

    def has(self, path: str) -> bool:
        """Return whether there is such a file on the laptop."""
        return self.rig.laptop.path(path).exists()


@pytest.fixture
def ground(rig: Rig) -> Iterator[Ground]:
    """Yield the laptop; afterwards its /etc has to be as before."""
    ground = Ground(rig)
    homes = [rig.laptop.path(path).parent for path in (DISPATCHER, POLKIT_RULE)]
    made = [folder for home in homes for folder in (home.parent, home) if not folder.exists()]
    for folder in made:
        folder.mkdir()
    before = ground.etc()
    rig.configure()
    try:
        yield ground
    finally:
        fakes = {"PATH": f"{FAKES}:{os.defpath}:/usr/sbin"}
        rig.run("schedule", "remove", "--yes", "--force", environ=fakes)
        rig.laptop.run(["service", "cron", "stop"], check=False)
        rig.laptop.remove("/etc/asyncamanda")
        after = ground.etc()
        for folder in reversed(made):
            folder.rmdir()
        if ground.has("/run/systemd"):
            rig.laptop.remove("/run/systemd")
    assert after == before


# -- what real tools say of the files


def export(ground: Ground, folder: Path, *paths: str) -> list[str]:
    """Copy files of the laptop's to where the tools of this machine see them."""
    copies = []
    for path in paths:
        text = re.sub(
            r"/opt/asyncamanda/bin/[a-z]+", "/usr/bin/python3", ground.rig.laptop.read(path)
        )
        (folder / Path(path).name).write_text(text)
        copies.append(str(folder / Path(path).name))
    return copies


def test_systemd_understands_the_units_and_finds_them_well_locked_in(
    ground: Ground, tmp_path: Path
) -> None:
    """`verify` says nothing at all, and `security` gives 3.0 or less."""
    assert ground.schedule("install", "--kind", "systemd", "--yes").exit == 0
    copies = export(ground, tmp_path, *UNITS)
    verify = subprocess.run(
        ["systemd-analyze", "verify", *copies], capture_output=True, text=True, check=False
    )
    assert (verify.returncode, verify.stdout, verify.stderr) == (0, "", "")
    for service in (copies[0], copies[2]):
        argv = ["systemd-analyze", "security", "--offline=true", "--threshold=30", "--no-pager"]
        security = subprocess.run([*argv, service], capture_output=True, text=True, check=False)
        assert security.returncode == 0, security.stdout


def test_systemd_understands_the_units_of_proofs(ground: Ground, tmp_path: Path) -> None:
    """They come with the gate, and are locked in as a backup is."""
    ground.write(ground.rig.config, BY_GATE)
    assert ground.schedule("install", "--kind", "systemd", "--yes").exit == 0
    copies = export(ground, tmp_path, *PROVE_UNITS)
    verify = subprocess.run(
        ["systemd-analyze", "verify", *copies], capture_output=True, text=True, check=False
    )
    assert (verify.returncode, verify.stdout, verify.stderr) == (0, "", "")


def test_systemd_understands_the_units_of_the_way_back(ground: Ground, tmp_path: Path) -> None:
    """And `security` gives what answers users 2.0 or less: it has no right of its own."""
    ground.write(ground.rig.config, BY_GATE)
    assert ground.schedule("install", "--kind", "systemd", "--yes").exit == 0
    copies = export(ground, tmp_path, *RESTORE_UNITS)
    verify = subprocess.run(
        ["systemd-analyze", "verify", *copies], capture_output=True, text=True, check=False
    )
    assert (verify.returncode, verify.stdout, verify.stderr) == (0, "", "")
    argv = ["systemd-analyze", "security", "--offline=true", "--threshold=20", "--no-pager"]
    security = subprocess.run([*argv, copies[0]], capture_output=True, text=True, check=False)
    assert security.returncode == 0, security.stdout


def test_the_way_back_comes_and_goes_with_the_timer(ground: Ground) -> None:
    """Switched on at once and off again, without a trace; not for a backup by command."""
    ground.boot_systemd()
    before = ground.etc()
    ground.write(ground.rig.config, BY_GATE)
    assert ground.schedule("install", "--yes").exit == 0
    assert all(map(ground.has, RESTORE_UNITS))
    assert ground.calls()[-1] == "enable --now asyncamanda-restore.socket"
    again = ground.schedule("install", "--yes")
    assert again.stdout == "nothing to change: systemd starts the agent\n"
    ground.rig.laptop.remove("/srv/on/asyncamanda-restore.socket")
    assert ground.schedule("install", "--yes").exit == 0
    assert "enable --now asyncamanda-restore.socket" in ground.calls()
    ground.rig.configure()
    assert ground.schedule("install", "--yes").exit == 0
    assert not any(map(ground.has, RESTORE_UNITS))
    assert ground.calls()[0] == "disable --now asyncamanda-restore.socket"
    assert ground.schedule("remove", "--yes").exit == 0
    assert ground.etc() == before


def test_the_units_may_write_where_amanda_keeps_its_snapshots(ground: Ground) -> None:
    """According to Amanda: else every dump by the timer would fail, and none by hand."""
    path = "/etc/amanda/amanda-client.conf"
    before = ground.rig.laptop.read(path) if ground.has(path) else None
    ground.write(path, 'gnutar_list_dir "/srv/lists"\n')
    try:
        assert ground.schedule("install", "--kind", "systemd", "--yes").exit == 0
    finally:
        if before is None:
            ground.rig.laptop.remove(path)
        else:
            ground.write(path, before)
    for unit in (systemd.SERVICE_FILE, systemd.NUDGE_FILE):
        assert "ReadWritePaths=-/srv/lists\n" in ground.rig.laptop.read(unit)


def test_systemd_enables_the_units_where_none_runs(ground: Ground) -> None:
    """An image that is being made: the real systemctl links what the units say."""
    before = ground.etc()
    assert ground.schedule("install", "--kind", "systemd", "--yes").exit == 0
    links = {path for path in {*ground.etc()} - {*before} if ".wants/" in path}
    assert "systemd/system/timers.target.wants/asyncamanda.timer" in links
    assert "systemd/system/suspend.target.wants/asyncamanda-nudge.service" in links
    assert ground.schedule("remove", "--yes").exit == 0
    left = {path for path in {*ground.etc()} - {*before} if not path.endswith(".wants")}
    assert left == set()


def test_anacron_understands_its_line(ground: Ground, tmp_path: Path) -> None:
    """So does the real one, with the lines of others before and after it."""
    assert ground.schedule("install", "--kind", "anacron", "--yes").exit == 0
    table = export(ground, tmp_path, ANACRONTAB)[0]
    done = subprocess.run(
        ["/usr/sbin/anacron", "-T", "-t", table], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "asyncamanda" in Path(table).read_text("utf-8")


def test_the_crontab_has_all_its_fields(ground: Ground) -> None:
    """Five of time, an account, and a command without a % in it, which cron would cut off."""
    assert ground.schedule("install", "--kind", "cron", "--yes").exit == 0
    *_, line = ground.rig.laptop.read(CRON_FILE).splitlines()
    minutes, hour, day, month, weekday, user, command = line.split(maxsplit=6)
    assert (hour, day, month, weekday, user) == ("*", "*", "*", "*", "root")
    assert all(0 <= int(minute) < 60 for minute in minutes.split(","))
    assert command.startswith("/opt/asyncamanda/bin/")
    assert "%" not in command
    ran = ground.rig.laptop.run(["/bin/sh", "-c", command])
    assert ran.returncode == 0, ran.stderr
    assert ground.rig.memory().attempts[-1].outcome is Outcome.BACKED_UP


def test_the_sandbox_leaves_the_agent_and_tar_what_they_need(ground: Ground) -> None:
    """With its capabilities, its /proc and its read-only places, but by other means than systemd's.

    Root's start becomes the Amanda user and gives ssh a password; and what is then root's, by
    a setuid program, reads and notes all.
    """
    ground.rig.set_password("secret")
    ground.rig.laptop.write("/srv/password", "secret\n", owner="backup", mode=0o600)
    ground.rig.configure(server="carol@amanda", password_file="/srv/password")
    ground.rig.laptop.make_directory(
        "/var/lib/asyncamanda/client", owner="backup"
    )  # StateDirectory
    done = ground.rig.laptop.run([*SANDBOX, PYTHON, "-m", "asyncamanda", "run", "-v"])
    assert "backed up in" in done.stdout
    ground.rig.laptop.write("/home/secret", "x", owner="backup", mode=0o600)
    snapshot = "/var/lib/amanda/snapshot"
    ground.rig.laptop.write(snapshot, "", owner="backup", mode=0o600)
    tar = ["tar", "-cf", "/dev/null", f"--listed-incremental={snapshot}", "--atime-preserve=system"]
    ground.rig.laptop.run([*SANDBOX, *tar, "-C", "/home", "."])
    assert ground.rig.laptop.read(snapshot).startswith("GNU tar-")
    for path in ("/home/secret", snapshot):
        ground.rig.laptop.remove(path)


# in a network of its own, which has a bridge
MAKE_BRIDGE = 'mount -t sysfs sys /sys && ip link add inside type bridge && exec "$@"'
INSIDE = ("unshare", "-mn", "sh", "-c", MAKE_BRIDGE, "sh")
NETWORK_EVENTS = [
    (("wlan0", "up"), {}, True),
    (("tun0", "vpn-up"), {}, True),
    (("none", "connectivity-change"), {"CONNECTIVITY_STATE": "FULL"}, True),
    (("none", "connectivity-change"), {"CONNECTIVITY_STATE": "PORTAL"}, False),
    (("none", "connectivity-change"), {}, False),
    (("lo", "up"), {}, False),
    (("docker0", "up"), {}, False),
    (("virbr0", "up"), {}, False),
    (("vnet0", "up"), {}, False),
    (("veth1a2b", "up"), {}, False),
    (("inside", "up"), {}, False),  # a bridge of any name
    (("wlan0", "down"), {}, False),
    ((), {}, False),
]


def test_a_network_that_comes_up_nudges(ground: Ground) -> None:
    """NetworkManager's dispatcher starts the unit then, without waiting for it."""
    ground.boot_systemd()
    assert ground.schedule("install", "--yes").exit == 0
    ground.calls()
    for words, environ, is_called in NETWORK_EVENTS:
        path = {"PATH": f"{FAKES}:{os.defpath}"}
        ground.rig.laptop.run([*INSIDE, DISPATCHER, *words], environ={**path, **environ})
        expected = ["start --no-block asyncamanda-nudge.service"] if is_called else []
        assert ground.calls() == expected, words


def test_without_systemd_a_network_starts_the_agent_itself(ground: Ground) -> None:
    """In the background: NetworkManager gives a dispatcher little time."""
    ground.rig.configure(spread="0.001s")
    assert ground.schedule("install", "--kind", "cron", "--yes").exit == 0
    ground.rig.laptop.run(["sh", "-n", DISPATCHER])
    started = time.monotonic()
    ground.rig.laptop.run([DISPATCHER, "wlan0", "up"])
    assert time.monotonic() - started < at_most(1)
    ground.rig.until(lambda: ground.rig.laptop.path("/var/lib/asyncamanda/client").is_dir(), "runs")
    ground.rig.until(
        lambda: not any("--nudged" in one.argv for one in ground.rig.processes(ground.rig.laptop)),
        "the agent ends",
    )


# -- installing and removing


@pytest.mark.parametrize(
    ("kind", "paths"),
    [
        ("systemd", {*UNITS, DISPATCHER, POLKIT_RULE}),
        ("anacron", {ANACRONTAB, CRON_FILE, DISPATCHER, POLKIT_RULE}),
        ("cron", {CRON_FILE, DISPATCHER, POLKIT_RULE}),
    ],
)
def test_what_is_installed_is_removed_without_a_trace(
    ground: Ground, kind: str, paths: set[str]
) -> None:
    """Installing twice changes nothing the second time; removing leaves /etc as it was."""
    ground.boot_systemd()
    before = ground.etc()
    done = ground.schedule("install", "--kind", kind, "--yes")
    assert (done.exit, done.stderr) == (0, "")
    written = ground.etc()
    changed = {f"/etc/{path}" for path in written if written[path] != before.get(path)}
    assert changed == paths
    assert all(path in done.stdout for path in paths)
    again = ground.schedule("install", "--kind", kind, "--yes")
    assert again.stdout == f"nothing to change: {kind} starts the agent\n"
    assert ground.etc() == written
    assert ground.schedule("remove", "--yes").exit == 0
    assert ground.etc() == before
    assert not ground.has(RECORD)
    assert ground.schedule("remove", "--yes").stdout == "nothing to remove\n"


def test_systemd_is_told(ground: Ground) -> None:
    """The timer is switched on at once; and off before its files go, with no backup ended."""
    ground.boot_systemd()
    assert ground.schedule("install", "--yes").exit == 0
    assert ground.calls() == [
        "daemon-reload",
        "enable asyncamanda-nudge.service",
        "enable --now asyncamanda.timer",
    ]
    assert ground.schedule("remove", "--yes").exit == 0
    assert ground.calls() == [
        "disable --now asyncamanda.timer",
        "disable asyncamanda-nudge.service",
        "daemon-reload",
    ]


def test_another_kind_takes_the_place_of_the_first(ground: Ground) -> None:
    """So that nothing is started twice."""
    ground.boot_systemd()
    assert ground.schedule("install", "--yes").exit == 0
    ground.calls()
    assert ground.schedule("install", "--kind", "cron", "--yes").exit == 0
    assert not any(map(ground.has, UNITS))
    assert ground.has(CRON_FILE)
    calls = ground.calls()
    assert calls[0] == "disable --now asyncamanda.timer"
    assert calls[-2:] == ["daemon-reload", "enable --now cron.service"]
    assert ground.schedule("show", "--json").json["kind"] == "cron"


def test_a_cron_that_does_not_run_is_started(ground: Ground) -> None:
    """A real one, after it was shown; its files alone would start nothing."""
    argv = ["service", "cron", "start"]
    words = ("install", "--kind", "cron")
    assert ground.schedule(*words, "--dry-run", "--json").json["commands"] == [argv]
    assert not is_cron_there(ground)
    done = ground.schedule(*words, "--yes")
    assert (done.exit, f"run:\n  {' '.join(argv)}\n" in done.stdout) == (0, True), done.stderr
    assert is_cron_there(ground)
    assert ground.schedule("show", "--json").json["active"] is True
    assert ground.schedule(*words, "--yes", "--json").json["commands"] == []
    ground.rig.laptop.run(["service", "cron", "stop"])
    ground.rig.until(lambda: not is_cron_there(ground), "cron ends")
    done = ground.schedule(*words, "--yes", "--json")
    assert (done.json["changes"], done.json["commands"], done.json["changed"]) == ([], [argv], True)
    assert is_cron_there(ground)


def is_cron_there(ground: Ground) -> bool:
    """Return whether the laptop has a daemon of cron's."""
    seen = ground.rig.processes(ground.rig.laptop)
    return any(one.argv[0].endswith("/cron") for one in seen)


def test_a_rehearsal_changes_nothing(ground: Ground) -> None:
    """It shows each file whole."""
    before = ground.etc()
    done = ground.schedule("install", "--kind", "systemd", "--dry-run")
    assert done.exit == 0
    assert re.search(r"  OnCalendar=\*:\d\d/15:\d\d\n", done.stdout)
    assert (ground.etc(), ground.has(RECORD)) == (before, False)
    value = ground.schedule("install", "--kind", "systemd", "--dry-run", "--json").json
    assert (value["kind"], value["changed"]) == ("systemd", False)
    assert {change["path"] for change in value["changes"]} == {*UNITS, DISPATCHER, POLKIT_RULE}


def test_nothing_is_done_unasked(ground: Ground) -> None:
    """Without a terminal there is nobody to ask."""
    before = ground.etc()
    for words in (("install", "--kind", "cron"), ("install", "--kind", "cron", "--json")):
        done = ground.schedule(*words)
        assert done.exit == 64
        assert "--yes" in done.stderr + done.stdout
    assert ground.etc() == before


@pytest.mark.parametrize(("answer", "is_wanted"), [("y", True), ("", False), ("n", False)])
def test_on_a_terminal_it_asks(ground: Ground, answer: str, is_wanted: bool) -> None:
    """Nothing typed means no."""
    master, slave = os.openpty()
    program = ground.rig.laptop.start(
        [PYTHON, "-m", "asyncamanda", "schedule", "install", "--kind", "cron"],
        stdin=slave,
        stdout=slave,
        stderr=slave,
    )
    os.close(slave)
    terminal = pexpect.fdpexpect.fdspawn(master, timeout=at_most(20), encoding="utf-8")
    terminal.expect_exact("make these changes? [y/N] ")
    terminal.sendline(answer)
    terminal.expect_exact("done" if is_wanted else "nothing was changed")
    assert program.wait(20) == 0
    os.close(master)
    assert ground.has(CRON_FILE) is is_wanted


def test_what_was_changed_while_it_was_asked_about_is_not_overwritten(ground: Ground) -> None:
    """An administrator's line in anacrontab, say; the next start shows it."""
    usual = ground.rig.laptop.read(ANACRONTAB)
    master, slave = os.openpty()
    argv = [PYTHON, "-m", "asyncamanda", "schedule", "install", "--kind", "anacron"]
    program = ground.rig.laptop.start(argv, stdin=slave, stdout=slave, stderr=slave)
    os.close(slave)
    terminal = pexpect.fdpexpect.fdspawn(master, timeout=at_most(20), encoding="utf-8")
    terminal.expect_exact("make these changes? [y/N] ")
    ground.rig.laptop.append(ANACRONTAB, "9 9 other true\n")
    terminal.sendline("y")
    terminal.expect_exact("was changed since it was shown")
    assert program.wait(20) == 77
    os.close(master)
    assert ground.rig.laptop.read(ANACRONTAB) == f"{usual}9 9 other true\n"
    ground.write(ANACRONTAB, usual)


def test_who_is_not_root_may_look_only(ground: Ground) -> None:
    """The files are root's."""
    for what in ("install", "remove"):
        done = ground.schedule(what, "--yes", user="backup")
        assert done.exit == 77
        assert "run it as root" in done.stderr
    assert ground.schedule("show", user="backup").exit == 0


def test_what_may_not_be_looked_at_is_not_known(ground: Ground) -> None:
    """Debian 12's polkit keeps its rules from others: such a file is neither changed nor gone."""
    assert ground.schedule("install", "--kind", "cron", "--yes").exit == 0
    rules = ground.rig.laptop.path(POLKIT_RULE).parent
    mode = stat.S_IMODE(rules.stat().st_mode)
    rules.chmod(0o700)
    try:
        shown = ground.schedule("show", user="backup")
        value = ground.schedule("show", "--json", user="backup").json
        doctor = ground.rig.run("doctor", "--json", user="backup").json
    finally:
        rules.chmod(mode)
    assert shown.exit == 0, shown.stderr
    assert f"{POLKIT_RULE}: not known" in shown.stdout
    assert (value["differs"], value["unknown"]) == ([], [POLKIT_RULE])
    found = next(each["found"] for each in doctor["checks"] if each["check"] == "schedule")
    assert POLKIT_RULE not in found


# -- what is not ours, or not any more


@pytest.mark.parametrize("path", [CRON_FILE, POLKIT_RULE])
def test_a_file_that_is_not_ours_is_left_alone(ground: Ground, path: str) -> None:
    """It is named, nothing else is written, and what to do about it is said."""
    ground.write(path, "# mine\n")
    before = ground.etc()
    done = ground.schedule("install", "--kind", "cron", "--yes")
    assert done.exit == 77
    assert f"{path} was not made by asyncamanda" in done.stderr
    assert f"mv {path}" in done.stderr
    assert (ground.etc(), ground.has(RECORD)) == (before, False)
    ground.rig.laptop.remove(path)


def test_a_masked_unit_is_left_alone(ground: Ground) -> None:
    """Who masked it does not want it."""
    mask = ground.rig.laptop.path(systemd.SERVICE_FILE)
    mask.symlink_to("/dev/null")
    done = ground.schedule("install", "--kind", "systemd", "--yes")
    assert done.exit == 77
    assert "is not a regular file" in done.stderr
    mask.unlink()


def test_a_file_that_was_changed_by_hand_is_kept(ground: Ground) -> None:
    """It is named, and stays on record until it is forced away, or written again."""
    assert ground.schedule("install", "--kind", "cron", "--yes").exit == 0
    ground.rig.laptop.append(CRON_FILE, "# more\n")
    assert f"{CRON_FILE}: changed by hand" in ground.schedule("show").stdout
    assert ground.schedule("show", "--json").json["differs"] == [CRON_FILE]
    done = ground.schedule("remove", "--yes")
    assert done.exit == 0
    assert f"kept: {CRON_FILE}" in done.stdout
    assert (ground.has(CRON_FILE), ground.has(DISPATCHER)) == (True, False)
    diff = ground.schedule("install", "--kind", "cron", "--dry-run").stdout
    assert "  -# more\n" in diff
    assert ground.schedule("remove", "--yes", "--force").exit == 0
    assert not ground.has(CRON_FILE)


def test_a_block_in_anacrontab_that_was_changed_by_hand_is_kept(ground: Ground) -> None:
    """Lines of others may change; only what is in the block counts."""
    usual = ground.rig.laptop.read(ANACRONTAB)
    assert ground.schedule("install", "--kind", "anacron", "--yes").exit == 0
    installed = ground.rig.laptop.read(ANACRONTAB)
    ground.write(ANACRONTAB, f"{installed}9 9 other true\n")
    assert ground.schedule("show", "--json").json["differs"] == []
    ground.write(ANACRONTAB, installed.replace("1 10 asyncamanda", "2 10 asyncamanda"))
    assert ground.schedule("remove", "--yes").exit == 0
    assert "2 10 asyncamanda" in ground.rig.laptop.read(ANACRONTAB)
    assert ground.schedule("remove", "--yes", "--force").exit == 0
    assert ground.rig.laptop.read(ANACRONTAB) == usual


# -- what a crash leaves


KILLED = """\
import os, signal, sys
from asyncamanda.client.schedule import install
from asyncamanda.cli import main
left = int(sys.argv[1])
def counted(step):
    def take(*words):
        global left
        left -= 1
        left < 0 and os.kill(os.getpid(), signal.SIGKILL)
        step(*words)
    return take
for name in ("_apply", "write_record", "forget_record"):
    setattr(install, name, counted(getattr(install, name)))
main(sys.argv[2:])
"""
RECORDS_AND_FILES = 1 + 5 + 1  # what installing writes


def kill_at(ground: Ground, step: int, what: str) -> None:
    """Start `schedule` and kill it before one of the things that it writes or removes."""
    ended = ground.rig.laptop.run(
        [PYTHON, "-c", KILLED, str(step), "schedule", what, "--yes"],
        environ={"PATH": f"{FAKES}:{os.defpath}:/usr/sbin"},
        check=False,
    )
    assert ended.returncode == -signal.SIGKILL, ended.stderr


@pytest.mark.parametrize("step", [0, 3, RECORDS_AND_FILES - 1])
def test_an_install_that_was_killed_is_completed_or_removed(ground: Ground, step: int) -> None:
    """Before its record, between two files, or before it could say that it is done."""
    ground.boot_systemd()
    before = ground.etc()
    kill_at(ground, step, "install")
    assert ground.schedule("install", "--yes").exit == 0
    value = ground.schedule("show", "--json").json
    assert (value["differs"], value["active"], value["installed"]) == ([], True, True)
    assert ground.schedule("remove", "--yes").exit == 0
    kill_at(ground, step, "install")
    assert ground.schedule("remove", "--yes").exit == 0
    assert (ground.etc(), ground.has(RECORD)) == (before, False)


@pytest.mark.parametrize("step", [0, 3, 5])
def test_a_removal_that_was_killed_is_completed(ground: Ground, step: int) -> None:
    """Before its first file, between two, or before the record."""
    ground.boot_systemd()
    before = ground.etc()
    assert ground.schedule("install", "--yes").exit == 0
    kill_at(ground, step, "remove")
    assert ground.schedule("remove", "--yes").exit == 0
    assert (ground.etc(), ground.has(RECORD)) == (before, False)


def test_an_update_that_was_killed_leaves_nothing_foreign(ground: Ground) -> None:
    """What is there is of the old kind or of the new one, and either is known as ours."""
    ground.boot_systemd()
    before = ground.etc()
    assert ground.schedule("install", "--yes").exit == 0
    ground.rig.configure(amandates="/srv/amandates")
    kill_at(ground, 1, "install")
    done = ground.schedule("remove", "--yes")
    assert "kept" not in done.stdout
    assert ground.etc() == before


def test_a_half_installed_schedule_can_be_removed(ground: Ground) -> None:
    """Where systemd refuses, the error says so, and both ways out are open."""
    ground.boot_systemd()
    before = ground.etc()
    ground.write("/srv/refusing", "")
    failed = ground.schedule("install", "--yes")
    assert failed.exit == 77
    assert "systemctl enable asyncamanda-nudge.service: it is broken" in failed.stderr
    assert "incomplete" in ground.schedule("show").stdout
    assert ground.schedule("remove", "--yes").exit == 0
    assert ground.etc() == before


@pytest.mark.parametrize("unit", [systemd.TIMER, systemd.NUDGE])
def test_a_unit_that_somebody_switched_off_is_switched_on(ground: Ground, unit: str) -> None:
    """Installing again is how to get it back, whichever it is."""
    ground.boot_systemd()
    assert ground.schedule("install", "--yes").exit == 0
    ground.rig.laptop.remove(f"/srv/on/{unit}")
    assert ground.schedule("show", "--json").json["active"] is (unit != systemd.TIMER)
    assert ground.schedule("install", "--yes").exit == 0
    assert ground.rig.laptop.path(f"/srv/on/{unit}").exists()
    assert ground.schedule("show", "--json").json["active"] is True


# -- what it says


def test_show(ground: Ground) -> None:
    """Who starts the agent, whether it is on, and when it is next."""
    assert "nothing starts the agent" in ground.schedule("show").stdout
    assert ground.schedule("show", "--json").json == {
        "kind": None,
        "installed": False,
        "active": None,
        "files": [],
        "differs": [],
        "unknown": [],
        "next_at": None,
    }
    ground.boot_systemd()
    assert ground.schedule("install", "--yes").exit == 0
    shown = ground.schedule("show").stdout
    assert shown.startswith("systemd: active\nnext start: 2030-03-17 ")
    ground.rig.laptop.remove(POLKIT_RULE)
    value = ground.schedule("show", "--json").json
    assert (value["differs"], value["next_at"]) == ([POLKIT_RULE], "2030-03-17T17:46:40+00:00")
    ground.write(RECORD, "{")
    assert ground.schedule("show", "--json").json["kind"] is None
    assert ground.schedule("remove", "--yes").exit == 65
    ground.rig.laptop.remove(RECORD)
    assert ground.schedule("install", "--yes").exit == 0


def test_every_start_is_of_the_configuration_that_is_named(ground: Ground) -> None:
    """One with a character that a scheduler would take for something else is refused."""
    path = ground.rig.configure("/etc/asyncamanda/away.toml", user="backup")
    assert ground.schedule("install", "--kind", "cron", "--yes", "--config", path).exit == 0
    assert ground.rig.laptop.read(CRON_FILE).count(f"--config {path}") == 2
    odd = ground.rig.configure("/etc/asyncamanda/100%.toml")
    done = ground.schedule("install", "--kind", "cron", "--yes", "--config", odd)
    assert done.exit == 78
    assert "100%" in done.stderr


def test_all_words_fit_in_80_columns(ground: Ground) -> None:
    """But for the lines of files, which are shown as they are."""
    ground.boot_systemd()
    for kind in ("systemd", "anacron"):
        for words in (("install", "--kind", kind, "--yes"), ("show",), ("remove", "--yes")):
            for line in ground.schedule(*words).stdout.splitlines():
                assert len(line) < 80 or re.match(r"  .*/opt/asyncamanda/bin/", line), line
