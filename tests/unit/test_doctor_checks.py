"""What the client's doctor makes of what it found."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from asyncamanda.core.amanda.amandates import Rejected
from asyncamanda.core.doctor.amanda import (
    Trial,
    judge_installed,
    judge_programs,
    judge_start,
    judge_trial,
    judge_user,
)
from asyncamanda.core.doctor.files import (
    Content,
    Room,
    judge_amandates,
    judge_logs,
    judge_space,
)
from asyncamanda.core.doctor.findings import (
    NEEDS,
    Check,
    Health,
    conclude,
    find_cause,
    skip,
    too_slow,
    well,
)
from asyncamanda.core.doctor.inetd import (
    UNIT,
    NetworkOffer,
    disable_xinetd_services,
    find_services,
    find_xinetd_services,
    judge_inetd,
)
from asyncamanda.core.doctor.keys import Key, judge_host_key, judge_key
from asyncamanda.core.doctor.rights import PathKind, Seen, judge_file, judge_folder, judge_secret
from asyncamanda.core.doctor.server import (
    judge_clock,
    judge_disks,
    judge_error,
    judge_welcome,
)
from asyncamanda.core.doctor.starts import Start, parse_cron_line, parse_unit, read_path
from asyncamanda.core.doctor.tar import Security, Tar, judge_tar
from asyncamanda.core.doctor.upkeep import (
    Timer,
    find_starts,
    is_cron_name,
    judge_backup,
    judge_broker,
    judge_memory,
    judge_proof,
    judge_schedule,
)
from asyncamanda.core.model import BackupState
from asyncamanda.core.protocol.messages import DleState, Welcome
from asyncamanda.core.ssh.way import parse_way
from asyncamanda.errors import EverydayError, Exit, RefusedError
from asyncamanda.report.doctor import client_check_value, sum_up_client

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
OK, WARNING, BAD, ABSENT, SKIPPED = Health
FILE = Seen("/k/id", PathKind.FILE, "backup", 0o600, may_read=True, may_write=True)
FOLDER = Seen("/k", PathKind.FOLDER, "backup", 0o700, True, True, True)
KEY = Key(FILE, FOLDER, is_open=True, said="ssh-ed25519 AAAA")
WELCOME = Welcome(
    1, "asyncamanda 1", "laptop", "daily", NOW, timedelta(seconds=1), (), "idle", None
)


def ended(health: Health, code: Exit = Exit.CONFIGURATION) -> Check:
    """Return a check that ended so."""
    return Check("key", health, "found", exit=code)


# -- all of them


@pytest.mark.parametrize(
    ("checks", "code"),
    [
        ((), Exit.OK),
        ((ended(OK), ended(WARNING, Exit.REFUSED), ended(SKIPPED)), Exit.OK),
        ((ended(ABSENT, Exit.REFUSED),), Exit.LATER),
        ((ended(ABSENT), ended(BAD, Exit.STALE)), Exit.STALE),
        ((ended(BAD, Exit.STALE), ended(BAD, Exit.PROTOCOL)), Exit.PROTOCOL),
        ((ended(BAD, Exit.PROTOCOL), ended(BAD, Exit.REFUSED)), Exit.REFUSED),
        ((ended(BAD, Exit.REFUSED), ended(BAD), ended(BAD, Exit.STALE)), Exit.CONFIGURATION),
        ((ended(BAD, Exit.DATA),), Exit.DATA),
    ],
)
def test_the_worst_decides(checks: tuple[Check, ...], code: Exit) -> None:
    """Warnings are well enough; what is to be fixed here goes before all else."""
    assert conclude(checks) is code


def test_each_check_needs_only_what_comes_before_it() -> None:
    """So that one look in this order is enough."""
    order = list(NEEDS)
    for name, needs in NEEDS.items():
        assert all(order.index(needed) < order.index(name) for needed in needs), name


def test_what_is_skipped_names_the_root_of_it() -> None:
    """Not the next one on the way, which is skipped itself."""
    done = {"ssh": ended(OK), "key": ended(BAD), "server": ended(SKIPPED)}
    assert find_cause(NEEDS["server"], done, {}) == "key"
    assert find_cause(NEEDS["login"], done, {"server": "key"}) == "key"
    assert find_cause(NEEDS["key"], done, {}) is None
    assert skip("login", "key", done).found == "skipped: fix key first"
    away = {"server": ended(ABSENT)}
    assert find_cause(NEEDS["login"], away, {}) == "server"
    assert skip("login", "server", away).found == "skipped: the server cannot be reached"
    assert find_cause(NEEDS["login"], {"server": ended(WARNING)}, {}) is None


def test_the_sum_and_the_value() -> None:
    """What is bad first; the health in a word."""
    assert sum_up_client([ended(OK), ended(SKIPPED)]) == "all well"
    checks = [ended(WARNING), Check("server", ABSENT, ""), Check("tar", BAD, "")]
    assert sum_up_client(checks) == "fix: tar; not reachable: server; warnings: key"
    value = client_check_value(ended(WARNING))
    assert value == {
        "check": "key",
        "health": "warning",
        "found": "found",
        "why": None,
        "fix": None,
    }


# -- Amanda


def test_groups_are_those_of_debians_package() -> None:
    """For its user only, and where the machine has them."""
    assert judge_user("backup", ["backup", "disk"], ["disk"]).health is OK
    assert judge_user("amanda", ["amanda"], ["disk", "tape"]).health is OK
    lacking = judge_user("backup", ["backup"], ["disk", "tape"])
    assert (lacking.health, lacking.fix) == (
        WARNING,
        "as root: adduser backup disk && adduser backup tape",
    )


def test_the_first_amandad_that_is_there_counts() -> None:
    """As the agent takes it, even if it is a bad one."""
    nothing = Seen("/a", PathKind.NOTHING, error="No such file or directory")
    good = Seen("/b", PathKind.FILE, "root", 0o755, may_execute=True)
    assert judge_installed([nothing, good], is_configured=False).found == "/b"
    assert (
        judge_installed(
            [replace(good, mode=0o644, may_execute=False), good], is_configured=False
        ).health
        is BAD
    )
    missing = judge_installed([nothing, nothing], is_configured=False)
    assert missing.found == "there is no /a or /a"


@pytest.mark.parametrize(
    ("trial", "words"),
    [
        (
            Trial(1, "amandad: 'amandad' must be run as user 'backup' when using 'ssh' ..."),
            'user = "backup"',
        ),
        (
            Trial(127, "amandad: error while loading shared libraries: libx.so.1: cannot open"),
            "ldd /a",
        ),
        (Trial(None, error="Exec format error"), "reinstall"),
        (Trial(1, "critical (fatal): oops"), "/var/log/amanda/amandad"),
    ],
)
def test_amandad_that_does_not_start_says_why(trial: Trial, words: str) -> None:
    """Each with what fixes it."""
    check = judge_trial("/a", "root", trial)
    assert check.health is BAD
    assert words in check.fix
    assert judge_trial("/a", "backup", Trial(0)).health is OK


def test_a_file_system_that_is_read_only_is_not_to_be_given_away() -> None:
    """Another owner changes nothing there."""
    for seen in (FILE, FOLDER):
        judge = judge_file if seen is FILE else judge_folder
        check = judge("x", replace(seen, is_readonly=True, may_write=False), "backup", "why")
        assert check
        assert check.health is BAD
        assert "mounted read-only" in check.found
        assert "remount,rw" in check.fix
        assert "chown" not in check.fix


def test_a_slow_machine_is_not_told_to_reinstall() -> None:
    """It is to be asked again; and what follows is not known."""
    check = too_slow("amandad", "amandad did not end within 30 seconds")
    assert check.is_hindrance
    assert conclude([check]) is Exit.LATER
    assert "reinstall" not in check.fix


def test_what_the_amanda_user_has_to_do_can_be_typed() -> None:
    """By root, for that user has no shell, and a bare Debian no sudo."""
    lost = replace(FILE, kind=PathKind.NOTHING, error="No such file or directory")
    fixes = [
        judge_key([replace(KEY, seen=lost)], "backup", is_configured=True, has_password=False).fix,
        judge_host_key(parse_way("hostname x\n", "x"), [], "backup").fix,
    ]
    assert all("as root: runuser -u backup -- ssh" in fix for fix in fixes), fixes


@pytest.mark.parametrize(
    ("trial", "words"),
    [
        (Trial(None, error="/a cannot be run: Exec format error"), "cannot be started"),
        (
            Trial(127, "runtar: error while loading shared libraries: libx.so.1: cannot open"),
            "libx",
        ),
        (Trial(-11), "ended with status -11"),
        (Trial(1, "runtar: Need at least 3 arguments"), ""),
        (Trial(0), ""),
    ],
)
def test_a_program_that_makes_dumps_has_to_run(trial: Trial, words: str) -> None:
    """What it says of having nothing to do is no fault."""
    check = judge_start("/a", trial)
    assert bool(check) == bool(words)
    if check:
        assert (check.health, words in check.found) == (BAD, True)
        assert "reinstall" in check.fix


@pytest.mark.parametrize(
    ("change", "health"),
    [
        ({}, OK),
        ({"mode": 0o4755}, WARNING),
        ({"mode": 0o755}, BAD),
        ({"mode": 0o4774}, BAD),
        ({"owner": "backup"}, BAD),
        ({"may_execute": False}, BAD),
        ({"is_nosuid": True}, BAD),
        ({"kind": PathKind.NOTHING}, BAD),
    ],
)
def test_setuid_programs(change: dict[str, object], health: Health) -> None:
    """Root's, setuid, for the Amanda user's group alone, and where setuid counts."""
    runtar = Seen("/runtar", PathKind.FILE, "root", 0o4754, may_execute=True)
    assert judge_programs([runtar, replace(runtar, **change)], "backup").health is health  # type: ignore[arg-type]


TAR, REAL = "/bin/tar", "/usr/bin/tar"
PROGRAM = Seen(TAR, PathKind.FILE, "root", 0o755, may_read=True, may_execute=True)
SECURITY = Seen("/etc/s", PathKind.FILE, "root", 0o644, may_read=True)
ETC = Seen("/etc", PathKind.FOLDER, "root", 0o755)
BOTH = f"runtar:gnutar_path={REAL}\namgtar:gnutar_path={REAL}\n"


def judge(text: str, built_in: str = TAR) -> Check:
    """Return what is made of an amanda-security.conf that says `text`."""
    security = Security(SECURITY, (ETC,), text)
    return judge_tar(Tar(replace(PROGRAM, path=built_in), REAL, "tar (GNU tar) 1.35", security))


@pytest.mark.parametrize(
    "text",
    [
        BOTH,
        BOTH.removesuffix("\n"),
        f"RunTar:GNUTAR_path={REAL}\nAMGTAR:gnutar_path={REAL}",
        f"runtar:gnutar_path=/opt/tar\namgtar:gnutar_path=/opt/tar\n#x\n\n{BOTH}",
    ],
)
def test_amanda_security_conf_that_allows_tar(text: str) -> None:
    """Any of the lines may say so, whatever the case of the key."""
    assert judge(text).health is OK


@pytest.mark.parametrize(
    "line",
    [
        "",
        "#runtar:gnutar_path=/usr/bin/tar",
        " runtar:gnutar_path=/usr/bin/tar",
        "runtar:gnutar_path =/usr/bin/tar",
        "runtar:gnutar_path= /usr/bin/tar",
        "runtar:gnutar_path=/usr/bin/tar ",
        "runtar:gnutar_path=/usr/bin/tar\r",
        "runtar:gnutar_path=/bin/tar",
        "amgtar:gnutar_path=/usr/bin/tar",
    ],
)
def test_amanda_security_conf_without_tar(line: str) -> None:
    """A line counts as Amanda compares it, to the letter; the line to add is said."""
    check = judge(f"{line}\n")
    assert check.health is BAD
    assert "does not allow /usr/bin/tar for runtar:gnutar_path" in check.found
    assert "printf '%s\\n' runtar:gnutar_path=/usr/bin/tar" in check.fix
    assert check.fix.endswith(">>/etc/s")


def test_tar_that_amanda_was_built_with_needs_no_line() -> None:
    """As on Debian 13; a line that names another takes that back."""
    assert judge("", REAL).health is OK
    check = judge("runtar:gnutar_path=/opt/tar", REAL)
    assert check.health is BAD
    assert check.found.endswith("for runtar:gnutar_path")
    assert "'' runtar:gnutar_path=/usr/bin/tar >>" in check.fix  # its last line has no end


def test_amgtar_has_a_line_of_its_own() -> None:
    """Who has no dumptype with it does not need that, so it is a warning."""
    check = judge("runtar:gnutar_path=/usr/bin/tar\n")
    assert (check.health, check.fix.split()[-2:]) == (
        WARNING,
        ["amgtar:gnutar_path=/usr/bin/tar", ">>/etc/s"],
    )


@pytest.mark.parametrize(
    ("tar", "security", "folder", "words"),
    [
        ({"mode": 0o775}, {}, {}, "chmod go-w /usr/bin/tar"),
        ({"owner": "backup"}, {}, {}, "chown root:root /usr/bin/tar"),
        ({}, {"mode": 0o664}, {}, "chmod go-w /etc/s"),
        ({}, {"owner": "backup"}, {}, "chown root:root /etc/s"),
        ({}, {"mode": 0o600, "may_read": False}, {}, "chmod 644 /etc/s"),
        ({}, {"kind": PathKind.NOTHING}, {}, "--force-confmiss amanda-client"),
        ({}, {"kind": PathKind.FOLDER}, {}, "move it away"),
        ({}, {}, {"mode": 0o777}, "chmod go-w /etc"),
        ({}, {}, {"owner": "backup"}, "chown root:root /etc"),
    ],
)
def test_what_somebody_else_may_change_is_not_believed(
    tar: dict[str, object], security: dict[str, object], folder: dict[str, object], words: str
) -> None:
    """Amanda looks at tar, at the file, and at the folders above that."""
    file, etc = replace(SECURITY, **security), replace(ETC, **folder)  # type: ignore[arg-type]
    program = replace(PROGRAM, **tar)  # type: ignore[arg-type]
    check = judge_tar(Tar(program, REAL, "tar (GNU tar) 1.35", Security(file, (etc,), BOTH)))
    assert check.health is BAD
    assert words in check.fix


# -- files


@pytest.mark.parametrize(("is_by_command", "health"), [(True, BAD), (False, WARNING)])
def test_amandates_of_another_place(is_by_command: bool, health: Health) -> None:
    """In direct mode it is the witness; by the gate a hint."""
    content = Content(1, Rejected(), None)
    check = judge_amandates("/a", "/b", content, NOW, is_by_command=is_by_command)
    assert (check.health, check.fix) == (health, 'in client.toml: amandates = "/a"')


def test_amandates_that_is_locked_or_of_the_future() -> None:
    """Five minutes ahead are borne."""
    locked = Content(0, Rejected(), None, "it is locked")
    assert judge_amandates("/a", "/a", locked, NOW, is_by_command=False).health is BAD
    for ahead, health in ((4, OK), (6, WARNING)):
        content = Content(1, Rejected(), ("/home", NOW + timedelta(minutes=ahead)))
        assert judge_amandates("/a", "/a", content, NOW, is_by_command=True).health is health


def test_logs_that_can_be_made_need_not_be_there() -> None:
    """Amanda makes them."""
    missing = Seen("/l/amandad", PathKind.NOTHING, error="No such file or directory")
    assert judge_logs([(FOLDER, True), (missing, True)], "backup").health is OK
    assert judge_logs([(FOLDER, True), (missing, False)], "backup").health is BAD
    closed = replace(FOLDER, may_write=False)
    assert judge_logs([(closed, True)], "backup").health is BAD


MB, GB = 10**6, 10**9


@pytest.mark.parametrize(
    ("free", "size", "files", "health"),
    [
        (60 * MB, GB, 100, OK),
        (60 * MB, GB, None, OK),
        (49 * MB, GB, 100, WARNING),
        (60 * MB, 7 * GB, 100, WARNING),
        (MB - 1, GB, 100, BAD),
        (60 * MB, GB, 0, BAD),
    ],
)
def test_room(free: int, size: int, files: int | None, health: Health) -> None:
    """By bytes, share and inodes; the fullest one counts."""
    roomy = Room("/", 100 * GB, 200 * GB, 1000)
    assert judge_space([roomy, Room("/var", free, size, files)]).health is health


def test_secret_is_for_the_user_alone() -> None:
    """Root may own it, as long as the user can read it."""
    assert judge_secret("password", "password_file", FILE, "backup", 1).health is OK
    assert judge_secret("p", "k", replace(FILE, owner="root"), "backup", 1).health is OK
    assert judge_secret("p", "k", FILE, "backup", 0).health is BAD
    for wrong in ({"mode": 0o640}, {"owner": "mallory"}, {"may_read": False}):
        assert judge_secret("p", "k", replace(FILE, **wrong), "backup", 1).health is BAD


# -- ssh


def test_way_by_sshs_word() -> None:
    """Another port, another name for the host key, and files that are none."""
    way = parse_way("hostname Srv.Example\nport 2222\nidentityfile ~/a\nidentityfile ~/b\n", "s")
    assert (way.host, way.known_as, way.keys) == (
        "srv.example",
        "[srv.example]:2222",
        ("~/a", "~/b"),
    )
    way = parse_way("hostkeyalias x\nuserknownhostsfile /a /b\nglobalknownhostsfile none\n", "s")
    assert (way.host, way.port, way.known_as) == ("s", 22, "x")
    assert way.known_hosts == ("/a", "/b")
    assert judge_host_key(way, [], "backup").exit is Exit.REFUSED
    assert judge_host_key(way, ["x ssh-ed25519 AAAA"], "backup").health is OK
    assert judge_host_key(way, ["@cert-authority x ssh-rsa A"], "backup").health is OK
    assert judge_host_key(replace(way, has_command=True), [], "backup").health is OK


def judged(*keys: Key, is_configured: bool = False, has_password: bool = False) -> Check:
    """Return what these keys come to."""
    return judge_key(keys, "backup", is_configured=is_configured, has_password=has_password)


def test_one_good_key_is_enough() -> None:
    """Others that are missing or closed are passed over; one with bad rights is a fault."""
    missing = replace(KEY, seen=Seen("/k/rsa", PathKind.NOTHING, error="No such file or directory"))
    closed = replace(KEY, is_open=False, said="incorrect passphrase supplied")
    loose = replace(KEY, seen=replace(FILE, mode=0o644))
    assert judged(missing, closed, KEY).health is OK
    assert judged(missing, closed).exit is Exit.REFUSED
    assert (judged(KEY, loose).health, judged(KEY, loose).exit) == (BAD, Exit.CONFIGURATION)
    assert judged(missing, has_password=True).health is SKIPPED
    assert judged(missing, has_password=True, is_configured=True).health is BAD
    assert judged(replace(closed, has_agent=True)).health is WARNING
    assert judged(replace(KEY, folder=replace(FOLDER, mode=0o755))).health is OK
    assert judged(replace(KEY, folder=replace(FOLDER, mode=0o770))).health is BAD


# -- the server


@pytest.mark.parametrize(
    ("seconds", "health"), [(60, OK), (-60, OK), (61, WARNING), (-300, WARNING), (-301, BAD)]
)
def test_clocks(seconds: int, health: Health) -> None:
    """One minute is borne, five are odd."""
    assert judge_clock(timedelta(seconds=seconds)).health is health


@pytest.mark.parametrize(
    ("is_direct", "has_rate", "health"),
    [(True, True, WARNING), (True, False, OK), (False, True, OK), (False, False, OK)],
)
def test_a_limit_needs_the_gate_s_own_connection(
    is_direct: bool, has_rate: bool, health: Health
) -> None:
    """Where Amanda connects by itself the data does not come through this program."""
    check = judge_welcome(replace(WELCOME, is_direct=is_direct), has_rate=has_rate)
    assert check.health is health
    assert ("`rate` has no effect" in check.found) is (health is WARNING)


def test_disks_that_the_server_lacks() -> None:
    """None at all, or one that client.toml names."""
    assert judge_disks(WELCOME, ()).fix.endswith("laptop /home DUMPTYPE")
    served = replace(WELCOME, dles=(DleState("/home", None, None, None),))
    assert judge_disks(served, ()).health is OK
    assert judge_disks(served, ("/home",)).health is OK
    assert judge_disks(served, ("/home", "/srv")).health is BAD


HOME, SRV = DleState("/home", None, None, None), DleState("/srv", None, None, None)


@pytest.mark.parametrize(
    ("dles", "wanted", "health"),
    [
        ((HOME, replace(SRV, is_parked=True)), (), OK),
        ((HOME, replace(SRV, is_parked=True)), ("/home",), OK),
        ((HOME, replace(SRV, is_parked=True)), ("/home", "/srv"), WARNING),
        ((HOME, replace(SRV, is_parked=True)), ("/srv",), BAD),
        ((replace(HOME, is_parked=True), replace(SRV, is_parked=True)), (), BAD),
    ],
)
def test_disks_that_the_server_is_told_to_leave_out(
    dles: tuple[DleState, ...], wanted: tuple[str, ...], health: Health
) -> None:
    """It is said, is odd where client.toml names one, and bad where nothing is left."""
    check = judge_disks(replace(WELCOME, dles=dles), wanted)
    assert check.health is health
    assert "left out by the server's configuration: " in check.found
    assert bool(check.fix) is (health is not OK)


def test_what_passes_is_away() -> None:
    """What does not is bad, with the exit of its kind."""
    assert judge_error("server", EverydayError("a", "b", "c"), "").health is ABSENT
    refused = judge_error("gate", RefusedError("a", "b", "c"), "why")
    assert (refused.health, refused.exit, refused.fix) == (BAD, Exit.REFUSED, "c")


# -- upkeep


def test_schedule() -> None:
    """A timer that is active or cannot tell, or a line of cron's."""
    timer = Timer("systemd", is_installed=True, is_active=True, next_at=NOW)
    assert judge_schedule(timer, []).found == "systemd, next 2026-03-01 12:00 UTC"
    assert judge_schedule(replace(timer, is_active=None), []).health is OK
    assert judge_schedule(replace(timer, is_active=False), []).health is BAD
    assert judge_schedule(replace(timer, is_installed=False), []).health is BAD
    assert judge_schedule(replace(timer, is_active=False), ["/etc/crontab:1"]).health is OK
    assert judge_schedule(replace(timer, differs=("/x",)), []).health is WARNING
    gone = judge_schedule(replace(timer, differs=("/x",), missing=("/x",)), [])
    assert (gone.health, gone.found) == (BAD, "systemd: /x gone")
    assert judge_schedule(replace(timer, missing=("/x",)), ["/etc/crontab:1"]).health is OK
    assert judge_schedule(None, []).health is BAD


@pytest.mark.parametrize(
    ("line", "has_user", "start"),
    [
        ("17 * * * * root asyncamanda run", True, Start("asyncamanda", "root", "/x")),
        ("@hourly backup /o/asyncamanda run -v", True, Start("/o/asyncamanda", "backup", "/x")),
        ("17 * * * * /o/asyncamanda run", False, Start("/o/asyncamanda", None, "/x")),
        ("1 10 asyncamanda /o/asyncamanda run; test", False, Start("/o/asyncamanda", None, "/x")),
        (
            "1,16 * * * * me /o/python -P -m asyncamanda run",
            True,
            Start("/o/python", "me", "/x"),
        ),
        ("17 * * * * root asyncamanda status", True, None),
        ("", True, None),
    ],
)
def test_what_a_line_of_crons_starts(line: str, has_user: bool, start: Start | None) -> None:
    """As which user, and which program."""
    assert parse_cron_line(line, "/x", has_user=has_user) == start


def test_where_cron_looks_for_programs_and_what_a_unit_starts() -> None:
    """Without a PATH of its own it has a short one; ExecStart has a prefix."""
    assert read_path(["SHELL=/bin/sh\n", 'PATH="/usr/local/bin:/bin"\n']) == "/usr/local/bin:/bin"
    assert read_path([]) == "/usr/bin:/bin"
    unit = ["[Service]\n", "User=backup\n", "# x\n", "ExecStart=!/o/asyncamanda run\n"]
    assert list(parse_unit(unit)) == [Start("/o/asyncamanda", "backup")]
    assert list(parse_unit([])) == []


def test_a_schedule_that_starts_nothing_is_none() -> None:
    """Unless something else does start it."""
    timer = Timer("systemd", is_installed=True, is_active=True, faults=("/x: there is no /o",))
    check = judge_schedule(timer, [])
    assert (check.health, "there is no /o" in check.found) == (BAD, True)
    assert judge_schedule(timer, ["/etc/crontab:1"]).health is OK
    whole = replace(timer, faults=())
    assert judge_schedule(whole, [], ["/etc/crontab:1: there is no /o"]).health is OK
    assert judge_schedule(None, [], ["/etc/crontab:1: there is no /o"]).health is BAD


def test_users_without_a_socket_are_a_warning() -> None:
    """Backups go on; only who is not root cannot get files back."""
    assert judge_broker("/run/x", is_listening=True).health is OK
    missing = judge_broker("/run/x", is_listening=False)
    assert missing.health is WARNING
    assert "/run/x" in missing.found
    assert "schedule install" in missing.fix


AMANDA = "amanda stream tcp nowait backup /usr/lib/amanda/amandad amandad -auth=bsdtcp amdump\n"


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("", []),
        (f"#:OTHER: Other services\n{AMANDA}", [2]),
        (f"#<off># {AMANDA}", []),
        (f"# {AMANDA}ident stream tcp wait identd /usr/sbin/identd identd\n", []),
        ("amanda stream tcp nowait backup /usr/sbin/tcpd /usr/lib/amanda/amandad\n", [1]),
        ("amanda stream tcp\n", []),
    ],
)
def test_an_amandad_of_inetds_is_found(text: str, numbers: list[int]) -> None:
    """As inetd reads its lines."""
    assert find_services(text.splitlines()) == numbers


XINETD = """\
# service amanda
defaults
{
\tinstances = 60
}
service ident
{
\tserver = /usr/sbin/identd
}

service amanda
{
%s\tsocket_type = stream
\tserver = /usr/lib/amanda/amandad
\tserver_args = -auth=bsdtcp amdump
}
"""


@pytest.mark.parametrize(
    ("disable", "is_offered"),
    [
        ("", True),
        ("\tdisable\t\t= no\n", True),
        ("\tdisable = yes\n", False),
        ("#\tdisable = yes\n", True),
    ],
)
def test_an_amandad_of_xinetds_is_found_and_disabled(disable: str, is_offered: bool) -> None:
    """Its block alone is changed, and only where it is switched on."""
    text = XINETD % disable
    found = [(one.name, one.first) for one in find_xinetd_services(text.splitlines())]
    assert found == ([("amanda", 10)] if is_offered else [])
    after = disable_xinetd_services(text)
    assert [*find_xinetd_services(after.splitlines())] == []
    assert (after == text) != is_offered
    assert after.startswith(text[: text.index("service amanda\n")])
    assert "\tserver = /usr/lib/amanda/amandad\n" in after
    assert disable_xinetd_services(after) == after


def test_what_offers_amandad_to_the_network_is_a_warning() -> None:
    """Whoever it is, it is named with what switches it off; any one is enough."""
    assert judge_inetd([]).health is OK
    inetd = NetworkOffer("inetd", "/etc/inetd.conf:3", "update-inetd --disable amanda")
    unit = NetworkOffer("systemd", "amanda.socket", "systemctl disable --now amanda.socket")
    check = judge_inetd([inetd, unit])
    assert check.health is WARNING
    assert check.found.startswith("/etc/inetd.conf:3: inetd offers amandad to the network")
    assert check.found.endswith("; also amanda.socket")
    assert check.fix.endswith(": update-inetd --disable amanda")
    assert UNIT.fullmatch("amanda-udp.socket")
    assert not UNIT.fullmatch("asyncamanda-restore.socket")


def test_lines_of_crons_that_start_the_agent() -> None:
    """`run` and the classic form; no comment, no other command."""
    lines = [
        "# 1 * * * * root asyncamanda run",
        "1 * * * * root /usr/local/bin/asyncamanda run -v",
        "1 * * * * root asyncamanda -i 24 -h amanda -c x -a y",
        "1 * * * * root asyncamanda check",
        "1 * * * * root /opt/asyncamanda/bin/other run",
        "asyncamanda runaway",
    ]
    assert find_starts(lines) == [2, 3]
    assert is_cron_name("async-amanda_1")
    assert not is_cron_name("asyncamanda.dpkg-old")


def test_memory_and_backup() -> None:
    """Damage fixes itself, rights do not; stale is an end of its own."""
    assert judge_memory(None, "/m", is_unreadable=False, user="b").health is OK
    assert judge_memory("x", "/m", is_unreadable=False, user="b").health is WARNING
    assert judge_memory("x", "/m", is_unreadable=True, user="b").health is BAD
    assert judge_backup("s", is_due=False, is_stale=False).health is OK
    assert judge_backup("s", is_due=True, is_stale=False).health is WARNING
    stale = judge_backup("s", is_due=True, is_stale=True)
    assert (stale.health, stale.exit) == (BAD, Exit.STALE)
    assert well("x", "y").health is OK


def test_a_proof() -> None:
    """A failed one ends doctor as it ends `prove`; none for long is a warning."""
    assert judge_proof(BackupState.WELL, "").health is OK
    failed = judge_proof(BackupState.FAILED, "proof of /home FAILED")
    assert (failed.health, failed.exit) == (BAD, Exit.NOT_STORED)
    assert judge_proof(BackupState.STALE, "").health is WARNING


def test_a_cron_that_does_not_run_is_to_be_started() -> None:
    """Its file is there: installing that again would change nothing."""
    stopped = judge_schedule(Timer("cron", is_installed=True, is_active=False), ())
    assert (stopped.health, "enable --now cron" in stopped.fix) == (Health.BAD, True)
    gone = Timer("cron", is_installed=True, is_active=False, missing=("/etc/cron.d/asyncamanda",))
    assert "asyncamanda schedule install" in judge_schedule(gone, ()).fix
