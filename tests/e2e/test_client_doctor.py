"""The client's doctor, on a client that is well, and broken in one way after another."""

import json
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from tests.e2e.breaks import (
    ABSENT,
    AMANDATES,
    BAD,
    BROKEN,
    CRON,
    INETD,
    KEY,
    LISTS,
    LOGS,
    SSH,
    WARNING,
    Break,
    fill,
    moved,
    owned,
)
from tests.e2e.fresh import Terminal
from tests.e2e.laptop import ASYNCAMANDA, Run, wait_until
from tests.e2e.office import Office, open_office

from lab import AmandaServer, Client
from lab.patience import at_most

DISKLIST = "/etc/amanda/daily/disklist"
LOCK = "/var/lib/asyncamanda/client/lock"


@pytest.fixture(scope="module")
def office(lab_prefix: Path) -> Iterator[Office]:
    """Yield an office whose laptop was backed up and has a line of cron's."""
    with open_office(lab_prefix, "laptop", nat=True) as office:
        office.fill()
        office.shift_clocks(timedelta())
        office.set_up()
        laptop = office.client("laptop")
        laptop.write(CRON, f"17 * * * * root {ASYNCAMANDA} run\n")
        backup = office.backup("laptop")
        assert backup.returncode == 0, backup.stderr
        yield office
        # what one test left unmended was seen by the next one, or is seen now
        assert ills(doctor(office, "--json")) == {}


def doctor(office: Office, *words: str, user: str = "root") -> Run:
    """Run the doctor at the laptop, with every check; whatever it prints fits the terminal."""
    words = words if words else ("-v",)
    run = office.client("laptop").run([ASYNCAMANDA, "doctor", *words], user=user, check=False)
    if "--json" not in words:
        assert max(map(len, run.stdout.splitlines()), default=0) <= 80, run.stdout
    assert "Traceback" not in run.stderr, run.stderr
    return run


def ills(run: Run) -> dict[str, str]:
    """Return the health of each check that is not well; each says why, and what fixes it."""
    found = {}
    value = json.loads(run.stdout)
    assert value["exit"] == run.returncode
    for check in value["checks"]:
        if check["health"] not in {"ok", "skipped"}:
            assert check["why"] or check["check"] == "state", check
            assert check["fix"], check
            found[check["check"]] = check["health"]
    return found


def words_of(run: Run) -> str:
    """Return all that is said of what is not well."""
    checks = json.loads(run.stdout)["checks"]
    return "\n".join(
        f"{check['found']} {check['fix']}"
        for check in checks
        if check["health"] not in {"ok", "skipped"}
    )


# -- well


# a /usr in which only what amanda-client depends on is left of Amanda's packages
CLIENT_ALONE = """
mkdir -p /mnt/alone && mount -t tmpfs alone /mnt/alone
mkdir /mnt/alone/upper /mnt/alone/work /mnt/alone/local
mount --bind /usr/local /mnt/alone/local
mount -t overlay -o lowerdir=/usr,upperdir=/mnt/alone/upper,workdir=/mnt/alone/work overlay /usr
mount --bind /mnt/alone/local /usr/local
dpkg -L amanda-server libencode-locale-perl | while read -r path; do
    test -d "$path" || rm -f "$path"
done
"""


@contextmanager
def client_alone(laptop: Client) -> Iterator[None]:
    """Let the laptop be as `apt install amanda-client` leaves it, without recommendations."""
    shell(laptop, CLIENT_ALONE)
    try:
        yield
    finally:
        shell(laptop, "umount -l /usr; umount -l /mnt/alone; rmdir /mnt/alone")


def test_a_client_with_amanda_client_alone_is_well(office: Office) -> None:
    """Neither amgetconf, which is the server's, nor what Debian's packages forget to depend on.

    And what the doctor says is so: a backup is made.
    """
    laptop = office.client("laptop")
    with client_alone(laptop):
        assert laptop.run(["sh", "-c", "command -v amgetconf"], check=False).returncode
        assert laptop.run(["perl", "-MEncode::Locale", "-e", "1"], check=False).returncode
        for words in ((), ("--json",)):
            run = doctor(office, *words)
            assert run.returncode == 0, run.stdout
        assert ills(run) == {}
        assert "skipped" not in words_of(run)
        backup = office.backup("laptop", "--force")
        assert backup.returncode == 0, backup.stderr


def test_client_that_is_well_is_told_so(office: Office) -> None:
    """Every check is ok or not needed; 0. By root, and by the Amanda user itself."""
    for user in ("root", "backup"):
        run = doctor(office, user=user)
        assert (run.returncode, run.stderr) == (0, ""), run.stdout
        assert run.stdout.endswith("\nall well\n")
        verdicts = {
            line.split()[1]: line.split()[0]
            for line in run.stdout.splitlines()[:-2]
            if line[0] != " "
        }
        not_ok = {name for name, word in verdicts.items() if word != "ok"}
        # users: for want of a systemd
        assert not_ok == {"encryption", "password", "notify", "users"}
    assert "as laptop, for daily; protocol 1" in run.stdout


def test_what_is_well_is_counted(office: Office) -> None:
    """What is wrong stands alone; in colour on a terminal."""
    laptop = office.client("laptop")
    run = laptop.run([ASYNCAMANDA, "doctor"])
    said = r"\d+ checks are well, \d were not made: -v shows them\n\nall well\n"
    assert re.fullmatch(said, run.stdout)
    with broken(office, Break(on="mv {known} {known}.x", undo="mv {known}.x {known}")):
        run = laptop.run([ASYNCAMANDA, "doctor"], check=False)
        terminal = Terminal(laptop, "doctor")
        assert terminal.end() == 77
    heads = [line for line in run.stdout.splitlines() if line and line[0] != " "]
    assert heads[0].startswith("bad  host-key")
    assert re.match(r"\d+ checks are well, \d+ were not made: -v shows them", heads[1])
    assert heads[2:] == ["fix: host-key"]
    assert "\x1b[1;31mbad" in terminal.said


def test_what_the_server_says_to_it_is_taken_over(office: Office) -> None:
    """A disk that is new there is due at once; the memory stays the Amanda user's."""
    laptop, server = office.client("laptop"), office.server
    disklist = server.read(DISKLIST)
    laptop.add_tree("/srv/new")
    server.add_dle("laptop", "/srv/new")
    try:
        # which it reads every five seconds at most
        wait_until("it is heard of", lambda: ills(doctor(office, "--json")) == {"backup": WARNING})
        status = laptop.run([ASYNCAMANDA, "status"], check=False).stdout
        assert status.startswith("no backup known: /srv/new"), status
        owners = {path.owner() for path in laptop.path(LOCK).parent.iterdir()}
        assert owners == {"backup"}
    finally:
        server.write(DISKLIST, disklist, owner="backup")
    wait_until("it is forgotten", lambda: doctor(office).stdout.endswith("\nall well\n"))
    assert laptop.run([ASYNCAMANDA, "status"], check=False).stdout.startswith("all well")


def test_others_may_not_ask(office: Office) -> None:
    """Neither root nor the Amanda user: a clear error, and how to do it."""
    run = doctor(office, user="nobody")
    assert run.returncode == 77
    assert "run it as root or as backup" in run.stderr


def test_what_depends_on_a_bad_one_is_skipped(office: Office) -> None:
    """It says what to fix first, and nothing that misleads."""
    with broken(office, Break(on="mv {known} {known}.x", undo="mv {known}.x {known}")):
        lines = doctor(office).stdout.splitlines()
    skipped = [line for line in lines if "fix host-key first" in line]
    names = ["server", "login", "gate", "disks", "devices", "clock"]
    assert [line.split()[1] for line in skipped] == names
    assert "fix: host-key" in lines[-1]


# -- broken


def shell(host: AmandaServer | Client, words: str) -> None:
    """Run a line of shell at the host, as root."""
    host.run(["sh", "-ec", words])


@contextmanager
def broken(office: Office, damage: Break) -> Iterator[None]:
    """Damage the office, and fix it at the end."""
    laptop, server = office.client("laptop"), office.server
    try:
        if damage.settings:
            office.configure_agent(laptop, **damage.settings)
        office.shift_clocks(damage.later)
        shell(laptop, fill(damage.on))
        shell(server, fill(damage.at))
        yield
    finally:
        office.shift_clocks(timedelta())
        shell(laptop, fill(damage.undo))
        shell(server, fill(damage.undo_at))
        office.configure_agent(laptop)


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_broken_is_named_and_nothing_else(office: Office, name: str) -> None:
    """The one check, with words that help, and the exit of its kind."""
    damage, expected, words, code = BROKEN[name]
    with broken(office, damage):
        run = doctor(office, "--json", user=damage.user)
        assert ills(run) == expected, run.stdout
        assert words in words_of(run)
        assert run.returncode == code


# -- fixed

XINETD = "/etc/xinetd.d/amanda"  # of Debian's amanda-common
MENDED = Break(
    on=f"""
cp -p /etc/inetd.conf /etc/inetd.conf.was; echo '{INETD}' >>/etc/inetd.conf
cp -p {XINETD} /srv/xinetd.was; ln -s /bin/true /usr/local/sbin/xinetd
chown root:root {AMANDATES}; chmod 600 {AMANDATES}
chown root:root {LOGS}/amandad; chmod 755 {LOGS}/amandad
mv {LISTS} {LISTS}.x
chmod 644 {KEY}; chmod 775 {SSH}
echo lab-backup >/srv/password; chmod 644 /srv/password
""",
    undo=f"""
mv /etc/inetd.conf.was /etc/inetd.conf; rm /srv/password
mv /srv/xinetd.was {XINETD}; rm /usr/local/sbin/xinetd
if test -d {LISTS}; then rm -r {LISTS}.x; else mv {LISTS}.x {LISTS}; fi
""",
    settings={"password_file": "/srv/password"},
)
MENDED_ILLS = {
    "inetd": WARNING,
    "amandates": BAD,
    "logs": BAD,
    "gnutar-lists": BAD,
    "key": BAD,
    "password": BAD,
}


def test_what_can_be_fixed_safely_is_fixed_when_that_is_wanted(office: Office) -> None:
    """Nothing is changed where nobody can be asked; with --yes all of it is, and checked again."""
    laptop = office.client("laptop")
    with broken(office, MENDED):
        assert ills(doctor(office, "--json")) == MENDED_ILLS
        for words, user, code, said in (
            (["--fix"], "root", 64, "there is no terminal to ask on"),
            (["--fix", "--json"], "root", 64, "--json cannot ask"),
            (["--fix", "--yes"], "backup", 77, "run it as root"),
            (["--yes"], "root", 64, "--yes is for --fix"),
        ):
            run = doctor(office, *words, user=user)
            assert (run.returncode, said in run.stdout + run.stderr) == (code, True), run
        assert ills(doctor(office, "--json")) == MENDED_ILLS
        run = doctor(office, "--fix", "--yes", "--json")
        assert (ills(run), run.returncode) == ({}, 0), run.stdout
        fixed = json.loads(run.stdout)["fixed"]
        assert {each["outcome"] for each in fixed} == {"fixed"}
        assert {each["check"] for each in fixed} == MENDED_ILLS.keys()
        assert "disable = yes" in laptop.read(XINETD)
        assert "disable         = no" not in laptop.read(XINETD)
        run = doctor(office, "--fix", "--yes")
        assert (run.returncode, "all well" in run.stdout) == (0, True), run.stdout
        assert office.backup("laptop", "--force").returncode == 0


def test_each_thing_is_asked(office: Office) -> None:
    """What is declined stays as it is; a host key is shown, for somebody to compare."""
    laptop = office.client("laptop")
    away, roots = moved("{known}"), owned(AMANDATES, "root:root", "600")
    with broken(office, away), broken(office, roots):
        terminal = Terminal(laptop, "doctor", "--fix")
        terminal.expect(
            f"Fix amandates, so that {AMANDATES} is a file of backup's, mode 0660? [y/N]"
        )
        terminal.type("n")
        terminal.expect("Fix host-key, so that backup knows the host key of amanda? [y/N]")
        terminal.type("y")
        terminal.expect("Is it the same?")
        terminal.type("yes")
        terminal.expect("checking again")
        assert terminal.end() == 78
        assert "fix: amandates" in terminal.said
        assert laptop.path(AMANDATES).owner() == "root"
        assert ills(doctor(office, "--json")) == {"amandates": BAD}


@pytest.mark.parametrize("name", ["no amanda-security.conf", "amandates a link"])
def test_what_cannot_be_fixed_safely_is_left(office: Office, name: str) -> None:
    """It says so, and the words that help stay."""
    damage, expected, _, code = BROKEN[name]
    with broken(office, damage):
        run = doctor(office, "--fix", "--yes")
        assert (
            run.returncode,
            f"--fix can do nothing about {next(iter(expected))}" in run.stdout,
        ) == (
            code,
            True,
        )
        assert ills(doctor(office, "--json")) == expected


def test_a_file_that_is_somebody_elses_word_is_left(office: Office) -> None:
    """A line for cron that an administrator wrote is not replaced; the reason is told."""
    damage, expected, _, _ = BROKEN["start-without-a-user"]
    with broken(office, damage):
        run = doctor(office, "--fix", "--yes", "--json")
        assert ills(run) == expected
        [fixed] = json.loads(run.stdout)["fixed"]
        assert (fixed["check"], fixed["outcome"]) == ("schedule", "failed")
        assert "was not made by asyncamanda" in fixed["reason"]


# -- the network, the clock, the disk


def cut(office: Office) -> Callable[[], None]:
    """Let the link swallow everything; return what undoes it."""
    office.client("laptop").cut()
    return office.client("laptop").heal


def stop(office: Office) -> Callable[[], None]:
    """Stop the server's sshd."""
    office.server.stop_sshd()
    return office.server.start_sshd


def lose_names(office: Office) -> Callable[[], None]:
    """Let the server's name be known to a name server alone, which is silent."""
    laptop = office.client("laptop")
    hosts, names = laptop.read("/etc/hosts"), laptop.read("/etc/nsswitch.conf")
    laptop.write("/etc/hosts", "127.0.0.1 localhost\n")
    laptop.write("/etc/resolv.conf", f"nameserver {office.server.address}\n")
    laptop.write("/etc/nsswitch.conf", names.replace("hosts: files", "hosts: files dns"))
    laptop.cut()

    def undo() -> None:
        laptop.heal()
        laptop.write("/etc/hosts", hosts)
        laptop.write("/etc/nsswitch.conf", names)

    return undo


@pytest.mark.parametrize(
    ("lose", "words"),
    [(cut, "cannot be reached"), (stop, "refused the connection"), (lose_names, "name server")],
)
def test_server_that_is_not_reached_is_away(
    office: Office, lose: Callable[[Office], Callable[[], None]], words: str
) -> None:
    """75, and the wait is less than five seconds, whatever is dead; the machine may be busy."""
    began = time.monotonic()
    doctor(office)
    usual = time.monotonic() - began
    undo = lose(office)
    try:
        began = time.monotonic()
        run = doctor(office, "--json")
        assert time.monotonic() - began - usual < at_most(5)
        assert (ills(run), run.returncode) == ({"server": ABSENT}, 75)
        assert words in words_of(run)
    finally:
        undo()


@pytest.mark.parametrize(
    ("minutes", "health", "code"), [(2, WARNING, 0), (-2, WARNING, 0), (10, BAD, 78)]
)
def test_clocks_that_differ(office: Office, minutes: int, health: str, code: int) -> None:
    """More than one minute is odd, more than five is bad."""
    laptop = office.client("laptop")
    laptop.clock_offset = timedelta(minutes=minutes)
    try:
        run = doctor(office, "--json")
        assert (ills(run), run.returncode) == ({"clock": health}, code)
        assert f"{abs(minutes)}m {'behind' if minutes > 0 else 'ahead of'}" in words_of(run)
    finally:
        laptop.clock_offset = timedelta()
        doctor(office)  # it remembers by the right clock again


def test_disk_that_is_full_or_nearly(office: Office) -> None:
    """Little room is odd; none, or no further file, is bad, and hides what it brings about."""
    laptop = office.client("laptop")
    laptop.fill_disk()
    try:
        run = doctor(office, "--json")
        assert (ills(run), run.returncode) == ({"space": BAD}, 78)
    finally:
        laptop.free_disk()
    shell(laptop, "mount -o remount,size=20m /mnt")
    try:
        run = doctor(office, "--json")
        assert (ills(run), run.returncode) == ({"space": WARNING}, 0)
    finally:
        laptop.free_disk()
    shell(laptop, "mount -o remount,nr_inodes=$(($(df --output=iused /mnt | tail -1))) /mnt")
    try:
        run = doctor(office, "--json")
        assert (ills(run), run.returncode) == ({"space": BAD}, 78)
        assert "inodes" in words_of(run)
    finally:
        shell(laptop, "mount -o remount,nr_inodes=100000 /mnt")


def test_direct_mode_needs_no_gate(office: Office) -> None:
    """What asks the gate is left out, and amandates is the witness."""
    with broken(office, Break(settings={"command": "/usr/sbin/amdump daily"})):
        run = doctor(office, "--json")
    # what the gate has said is nothing to a command, which has brought nothing yet
    assert (ills(run), run.returncode) == ({"backup": WARNING}, 0), run.stdout
    checks = {check["check"]: check["health"] for check in json.loads(run.stdout)["checks"]}
    assert {checks[name] for name in ("gate", "disks", "devices", "clock")} == {"skipped"}


def test_looking_changes_nothing_at_the_server(office: Office) -> None:
    """No request is left behind, and no run is made."""
    runs = len(office.dumps())
    doctor(office)
    assert len(office.dumps()) == runs
    assert office.view().get("waiting", []) == []


def test_agent_that_runs_is_left_alone(office: Office) -> None:
    """Amanda's calls come to the newest line of a client's: none is opened beside an agent's."""
    laptop = office.client("laptop")
    agent = laptop.start(["flock", "-o", LOCK, "sleep", "60"])
    try:
        wait_until("it is seen", lambda: "while an agent" in doctor(office).stdout)
        assert ills(doctor(office, "--json")) == {}
    finally:
        agent.terminate()
