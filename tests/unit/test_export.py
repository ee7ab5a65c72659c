"""What an export holds, when the day's is made, and which of them stay."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from asyncamanda.core.doctor.exports import judge_export
from asyncamanda.core.doctor.findings import Health
from asyncamanda.core.export.daily import (
    ExportOrder,
    LastExport,
    decide_wait,
    name_export,
    parse_export_order,
    parse_last,
    plan_pruning,
    render_export_order,
    render_last,
)
from asyncamanda.core.export.manifest import (
    ExportedConfig,
    ExportedMember,
    ExportHead,
    TooNew,
    parse_head,
    parse_manifest,
    render_head,
    render_manifest,
)
from asyncamanda.core.export.members import MemberName, parse_member_name
from asyncamanda.server.export.registry_lines import choose_lines, drop_clients, plan_lines
from asyncamanda.server.export.sealing import plan_encryption

NOW = datetime(2026, 11, 30, 20, 0, tzinfo=UTC)
KEY = "AAAAC3NzaC1lZDI1NTE5AAAAIAAA"
GATE = 'command="asyncamanda gate --client laptop --amanda-config daily"'
LINE = f"restrict,{GATE} ssh-ed25519 {KEY} laptop"
HEAD = ExportHead(
    NOW,
    "amanda",
    "1.0",
    "backup",
    2,
    is_remote=False,
    configs=(
        ExportedConfig("daily", {"log": "/var/log/x", "curinfo": "/var/lib/y"}, ("/srv/v",), ()),
    ),
    clients=("laptop", "tower"),
)


@pytest.mark.parametrize(
    ("name", "member"),
    [
        ("server.toml", MemberName("server.toml")),
        (
            "hostkeys/ssh_host_ed25519_key.pub",
            MemberName("hostkeys", "", "ssh_host_ed25519_key.pub"),
        ),
        ("common/types/base.conf", MemberName("common", "", "types/base.conf")),
        ("amanda/daily/log/log.2026.0", MemberName("log", "daily", "log.2026.0")),
        ("amanda/daily/curinfo/a/_b\udce9/info", MemberName("curinfo", "daily", "a/_b\udce9/info")),
    ],
)
def test_a_members_name_says_what_it_is(name: str, member: MemberName) -> None:
    """Names that are no UTF-8 as well: disks have such."""
    assert parse_member_name(name) == member


@pytest.mark.parametrize(
    "name",
    [
        "",
        "/etc/passwd",
        "../server.toml",
        "./server.toml",
        "server.toml/",
        "common/../../x",
        "common//x",
        "common/",
        "common",
        "common/./x",
        "amanda/daily/conf",
        "amanda/daily/conf/",
        "amanda/../conf/x",
        "amanda//conf/x",
        "amanda/-x/conf/x",
        "amanda/daily/other/x",
        "amanda/daily/log/" + "/".join("x" * 17),
        "amanda/daily/log/" + "x" * 256,
        "amanda/daily/log/a\0b",
        "hostkeys/ssh_config",
        "hostkeys/../ssh_host_ed25519_key",
        "hostkeys/ssh_host_ed25519_key\n",
        "ledger.sqlite-wal",
    ],
)
def test_no_other_name_is_one(name: str) -> None:
    """Whatever leads out of its folder, or belongs to nothing that is exported."""
    with pytest.raises(ValueError):  # noqa: PT011 - any reason
        parse_member_name(name)


def test_head_and_manifest_come_back_as_they_were() -> None:
    """All values of them."""
    assert parse_head(render_head(HEAD)) == HEAD
    members = [ExportedMember("common/x\udce9", 3, "0" * 64, 0o600)]
    assert parse_manifest(render_manifest(members)) == {"common/x\udce9": members[0]}


@pytest.mark.parametrize(
    "changes",
    [
        {"made_at": "2026-11-30T20:00:00"},
        {"made_at": 7},
        {"user": "root; rm"},
        {"user": ["x"]},
        {"clients": ["-x"]},
        {"clients": 7},
        {"format": "1"},
        {"format": True},
        {"ledger_format": -1},
        {"configs": [{"name": "../x", "places": {}, "vtapes": [], "holding": []}]},
        {"configs": [{"name": "x", "places": {"log": "x"}, "vtapes": [], "holding": []}]},
        {"configs": [{"name": "x", "places": {"log": "/a/../b"}, "vtapes": [], "holding": []}]},
        {"configs": [{"name": "x", "places": {"log": "/"}, "vtapes": [], "holding": []}]},
        {"configs": [{"name": "x", "places": {"conf": "/x"}, "vtapes": [], "holding": []}]},
        {"configs": [{"name": "x"}]},
    ],
)
def test_a_head_that_no_export_has_is_refused(changes: dict[str, object]) -> None:
    """Each value is checked."""
    said = json.loads(render_head(HEAD)) | changes
    with pytest.raises(ValueError):  # noqa: PT011 - any reason
        parse_head(json.dumps(said).encode())


def test_a_newer_format_says_which_version_reads_it() -> None:
    """Whatever else has changed in it."""
    with pytest.raises(TooNew) as error:
        parse_head(b'{"format": 2, "version": "9.1"}')
    assert error.value.version == "9.1"


@pytest.mark.parametrize(
    "text",
    [
        b"[]",
        b"7",
        b'{"members": [["server.toml", 1, "x", 0]]}',
        b'{"members": [["server.toml", 1]]}',
        b'{"members": [["../x", 1, "' + b"0" * 64 + b'", 0]]}',
        b'{"members": [["server.toml", -1, "' + b"0" * 64 + b'", 0]]}',
        b'{"members": [' + b",".join([b'["server.toml",1,"' + b"0" * 64 + b'",0]'] * 2) + b"]}",
    ],
)
def test_a_manifest_that_no_export_has_is_refused(text: bytes) -> None:
    """Each line is checked."""
    with pytest.raises(ValueError):  # noqa: PT011 - any reason
        parse_manifest(text)


HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@pytest.mark.parametrize(
    ("last", "ended_at", "wait"),
    [
        (None, None, timedelta()),
        (LastExport(NOW - 2 * HOUR, "x"), NOW - HOUR, timedelta()),
        (LastExport(NOW - HOUR / 4, "x"), NOW, HOUR * 3 / 4),
        (LastExport(NOW - HOUR, "x"), NOW - 2 * HOUR, timedelta(-1)),
        (LastExport(NOW - DAY, "x"), None, timedelta(-1)),
        (LastExport(NOW - DAY, "", "no room"), NOW - 2 * DAY, timedelta()),
        (LastExport(NOW + DAY, "x"), NOW - DAY, timedelta()),  # the clock was set back
    ],
)
def test_an_export_is_made_when_runs_have_ended_since_the_last(
    last: LastExport | None, ended_at: datetime | None, wait: timedelta
) -> None:
    """Not more than one an hour; what has failed is made again."""
    assert decide_wait(last, ended_at, NOW) == wait


def test_orders_and_notes_come_back_as_they_were() -> None:
    """Anything else is refused."""
    order = ExportOrder("daily", "backup", "/x/ledger", "/mnt/x", 7, ("age1x",))
    assert parse_export_order(render_export_order(order)) == order
    last = LastExport(NOW, "", "no room")
    assert parse_last(render_last(last)) == last
    for text in ("{}", "[]", '{"begun_at": "2026-01-01T00:00:00", "path": "", "fault": ""}'):
        with pytest.raises(ValueError):  # noqa: PT011 - any reason
            parse_last(text)
        with pytest.raises(ValueError):  # noqa: PT011 - any reason
            parse_export_order(text)


def test_exports_of_the_newest_days_stay_and_nobody_elses_file_goes() -> None:
    """Nor that of another server in the same folder."""
    mine = [name_export("a", NOW - n * DAY, is_encrypted=n % 2 == 0) for n in range(4)]
    others = [name_export("a-b", NOW - 9 * DAY, is_encrypted=False), "notes.txt", ".x.new"]
    assert sorted(plan_pruning([*mine, *others], "a", 2)) == sorted(mine[2:])
    assert plan_pruning([*mine, *others], "a", 4) == []


@pytest.mark.parametrize(
    ("last", "ended_at", "is_there", "health"),
    [
        (None, None, False, Health.OK),
        (None, NOW - 3 * DAY, False, Health.BAD),
        (LastExport(NOW - HOUR, "/x"), NOW - 2 * HOUR, True, Health.OK),
        (LastExport(NOW - 9 * DAY, "/x"), NOW - 9 * DAY, True, Health.OK),
        (LastExport(NOW - 9 * DAY, "/x"), NOW, True, Health.BAD),
        (LastExport(NOW - HOUR, "/x"), NOW, False, Health.BAD),
        (LastExport(NOW - HOUR, "", "no room"), NOW, False, Health.BAD),
    ],
)
def test_doctor_says_whether_the_newest_export_is_new_enough(
    last: LastExport | None, ended_at: datetime | None, is_there: bool, health: Health
) -> None:
    """An old one of a server that has done nothing since is as good."""
    check = judge_export("/mnt", last, ended_at, NOW, is_there=is_there)
    assert check.health is health
    assert bool(check.fix) == (health is Health.BAD)


def test_only_what_enroll_writes_is_taken_of_a_foreign_registry() -> None:
    """A line that gives its key anything else is left out, whatever it looks like."""
    evil = [
        f"ssh-ed25519 {KEY} root",
        f"{GATE} ssh-ed25519 {KEY} laptop",  # with forwarding and a terminal
        f"restrict,pty,{GATE} ssh-ed25519 {KEY} laptop",
        f'restrict,environment="LD_PRELOAD=/srv/x",{GATE} ssh-ed25519 {KEY} laptop',
        LINE.replace("asyncamanda gate", "/srv/asyncamanda gate"),
        LINE.replace("daily", "daily; sh"),
        LINE.replace(KEY, "AAA"),
        f'from="x",permitopen="*",{LINE}',
    ]
    good = [LINE, f'from="10.0.0.0/8,!10.0.0.1",{LINE.replace("laptop", "tower")}']
    assert choose_lines("\n".join(["# a comment", *evil, "", *good, ""])) == (good, evil)


def test_lines_are_added_once_and_others_stay() -> None:
    """So that an import can be made again."""
    own = f"ssh-ed25519 {KEY} me"
    assert plan_lines(own, [LINE]) == f"{own}\n{LINE}\n"
    assert plan_lines(f"{own}\n{LINE}\n", [LINE]) == f"{own}\n{LINE}\n"
    assert drop_clients(f"{own}\n{LINE}\n#x") == f"{own}\n#x"


def test_recipients_are_keys_or_files_of_them() -> None:
    """As age(1) wants them."""
    assert plan_encryption(["age1x", "/etc/keys"]) == [
        *("age", "--encrypt", "--recipient", "age1x", "--recipients-file", "/etc/keys")
    ]
