"""A digest: when it is due, what it says, and how long it is."""

import re
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta

import pytest
from tests.fleets import DAY, HOUR, NOON, make_client, make_fleet

from asyncamanda.core.dispatch.records import RunKind, RunRow
from asyncamanda.core.fleet.changes import WELL, ToldState
from asyncamanda.core.fleet.digest import Digest, is_digest_due, make_digest
from asyncamanda.core.fleet.facts import ConfigFacts, FleetDay
from asyncamanda.core.fleet.standing import ClientState, ClientView, FleetView
from asyncamanda.core.values.printable import printable
from asyncamanda.report.digest import (
    MOST_LINES,
    WIDTH,
    digest_value,
    render_digest,
    render_digest_subject,
)

WEEK_AGO = NOON - 7 * DAY
NAMES = ("ada", "bert", "cleo", "dora", "emil")


def client(
    name: str, state: ClientState, since: datetime, alarm: str = "", exposed: str = ""
) -> ClientView:
    """A client in that state; `exposed` is its sentence where it is."""
    made = make_client(0, name, NOON)
    standing = replace(
        made.standing, state=state, since=since, alarm=alarm, is_exposed=bool(exposed)
    )
    return replace(made, standing=replace(standing, sentence=exposed or state.value))


def run(number: int, *, is_clean: bool = True) -> RunRow:
    """A run that ended so many hours ago."""
    at = NOON - number * HOUR
    return RunRow(number, "daily", RunKind.BATCH, (), at, ended_at=at, is_clean=is_clean)


def digest(fleet: FleetView, *recovered: str) -> Digest:
    """Return that of a week, in which those recovered."""
    told = {name: ToldState(WELL, NOON - HOUR) for name in recovered}
    return make_digest(fleet, WEEK_AGO, NOON, told, "backupserver")


ALL_WELL = FleetView(
    NOON,
    tuple(client(name, ClientState.PROTECTED, WEEK_AGO) for name in NAMES),
    runs=tuple(run(number) for number in range(1, 29)),
    days=(FleetDay(WEEK_AGO.date(), 5, 5),),
)
ALL_IS_WELL = """\
Backups on backupserver, Mon 2026-11-23 12:00 to Mon 2026-11-30 12:00
all 5 protected. 28 runs, none with errors.
Nothing to do.
"""

TROUBLED = FleetView(
    NOON,
    (
        client("ada", ClientState.PROTECTED, WEEK_AGO),
        client("bert", ClientState.FAILING, NOON - 2 * DAY, "3 runs failed: /srv: no space left"),
        client("cleo", ClientState.AWAY, NOON - 9 * DAY, exposed="used for 31h since its backup"),
        client("dora", ClientState.NEVER, NOON - 3 * DAY, "no backup since it was enrolled"),
        client("emil", ClientState.AWAY, NOON - 3 * DAY),
    ),
    configs=(ConfigFacts("daily", held_bytes=95, holding_bytes=100, volumes=20, volumes_free=0),),
    runs=(run(1), run(2, is_clean=False)),
)
TROUBLE = """\
Backups on backupserver, Mon 2026-11-23 12:00 to Mon 2026-11-30 12:00
1 of 5 clients protected, 1 failing, 1 never, 2 away. 2 runs, 1 with errors. New
alarms: bert, dora. Backed up again: ada.

Who needs attention
  bert  3 runs failed: /srv: no space left, for 2d
  dora  no backup since it was enrolled
  cleo  exposed: used for 31h since its backup

What to do, on the server, as root
  asyncamanda server doctor  # daily has no volume to write to
  asyncamanda server flush daily  # its holding disk is full
  asyncamanda server doctor bert  # its backup fails
  asyncamanda server doctor dora  # no backup yet
"""

OF_500 = """\
Backups on backupserver, Mon 2026-11-23 12:00 to Mon 2026-11-30 12:00
116 of 424 clients protected, 39 failing, 39 cut, 39 never, 39 running, 38
queued, 38 deferred, 38 away, 38 unknown; 500 were protected at the beginning. 1
run, none with errors. New alarms: laptop0080, laptop0160, laptop0041 and 146
more. Backed up again: laptop0000.

Who needs attention
  laptop0080  3 runs failed: no space left on device, for 1h
  laptop0160  no backup since it was enrolled
  laptop0041  3 runs failed: no space left on device, for 6h
  laptop0081  exposed: cut, as it should be
  laptop0121  no backup since it was enrolled
  laptop0201  exposed: queued, as it should be
  and 172 more: asyncamanda server fleet

What to do, on the server, as root
  asyncamanda server doctor laptop0080  # its backup fails; 50 more like it
  asyncamanda server doctor laptop0160  # no backup yet; 38 more like it
  asyncamanda server doctor laptop0201  # here, and not backed up; 32 more li...
  ask users to connect: laptop0321, laptop0322 and 53 more
"""


@pytest.mark.parametrize(
    ("made", "subject", "text"),
    [
        (digest(ALL_WELL), "asyncamanda: no client needs attention", ALL_IS_WELL),
        (
            digest(TROUBLED, "ada", "bert", "gone"),
            "asyncamanda: 3 of 5 clients need attention",
            TROUBLE,
        ),
        (
            digest(make_fleet(500), "laptop0000"),
            "asyncamanda: 178 of 424 clients need attention",
            OF_500,
        ),
    ],
    ids=["well", "troubled", "large"],
)
def test_a_digest_says_what_changed_who_is_exposed_and_what_to_do(
    made: Digest, subject: str, text: str
) -> None:
    """A good day's is short; the commands can be typed, with their comments."""
    assert render_digest_subject(made) == subject
    assert render_digest(made) == text


@pytest.mark.parametrize("count", [0, 1, 5, 40, 500])
def test_it_fits_a_screen(count: int) -> None:
    """Twenty lines of eighty characters."""
    lines = render_digest(digest(make_fleet(count))).splitlines()
    assert len(lines) <= MOST_LINES
    assert all(len(line) <= WIDTH for line in lines)


def test_hostile_and_long_names_change_nothing() -> None:
    """Names, reasons and faults steer no terminal; a command is whole."""
    name = "x" * 70
    views = (
        client(name, ClientState.FAILING, NOON - HOUR, "no\x1b[31m disk\n" * 50),
        client("y\u202e", ClientState.FAILING, NOON - HOUR, "x"),
    )
    fleet = FleetView(NOON, views, faults=("daily:\x1b " + "z" * 500,))
    text = render_digest(digest(fleet, "w\n"))
    assert all(line == printable(line) for line in text.splitlines())
    assert f"  asyncamanda server doctor {name}" in text
    assert len(text.splitlines()) <= MOST_LINES


def test_what_is_typed_is_a_command() -> None:
    """Each line of advice with a command begins with it."""
    for line in render_digest(digest(TROUBLED)).splitlines()[-4:]:
        assert re.fullmatch(r"  asyncamanda server (doctor|flush)( [a-z]+)?  # .*", line)


def test_json_has_all_alarms_and_the_text() -> None:
    """Also those that the text has no room for."""
    value = digest_value(digest(make_fleet(500), "laptop0000"))
    alarms = value["alarms"]
    assert isinstance(alarms, list)
    assert (len(alarms), value["text"], value["recovered"]) == (178, OF_500, ["laptop0000"])
    assert alarms[0] == {
        "client": "laptop0080",
        "state": "failing",
        "alarm": "failing",
        "reason": "3 runs failed: no space left on device",
        "since": "2026-11-30T11:00:00+00:00",
        "is_new": True,
    }


def test_an_alarm_is_new_since_it_was_told() -> None:
    """A client that is exposed was seen last long before; what was told before is not new."""
    for at, new in ((NOON - HOUR, ("bert", "dora", "cleo")), (NOON - 8 * DAY, ("bert", "dora"))):
        told = {"cleo": ToldState("exposed", at)}
        made = make_digest(TROUBLED, WEEK_AGO, NOON, told, "backupserver")
        assert sorted(made.new) == sorted(new)
        assert (made.alarms[0].facts.client == "cleo") is (len(new) == 3)


MONDAY = datetime(2026, 11, 30, 7, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


@pytest.mark.parametrize(
    ("is_weekly", "last", "now", "is_due"),
    [
        (False, MONDAY - DAY, MONDAY - MINUTE, False),
        (False, MONDAY - DAY, MONDAY, True),
        (False, MONDAY, MONDAY, False),
        (False, MONDAY + MINUTE, MONDAY + 12 * HOUR, False),
        (False, MONDAY - 9 * DAY, MONDAY - HOUR, True),  # nobody looked for long
        (True, MONDAY - 7 * DAY, MONDAY - MINUTE, False),
        (True, MONDAY - 7 * DAY, MONDAY, True),
        (True, MONDAY + MINUTE, MONDAY + 6 * DAY, False),
        (True, MONDAY - 2 * DAY, MONDAY + 3 * DAY, True),  # the server was off on Monday
        (False, MONDAY + 90 * DAY, MONDAY, False),  # the clock was set back
    ],
)
def test_a_digest_is_due_once_a_day_or_on_mondays(
    is_weekly: bool, last: datetime, now: datetime, is_due: bool
) -> None:
    """At its time, and later where nobody looked then."""
    assert is_digest_due(time(7), is_weekly=is_weekly, last=last, now=now) is is_due
