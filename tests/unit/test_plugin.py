"""What a monitoring plugin says: its statuses, its limits, and a form that Nagios can read."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from tests.fleets import DAY, HOUR, NOON, make_client, make_fleet
from tests.plugins import Number, Output, read_output

from asyncamanda.core.agent.checking import check_status
from asyncamanda.core.agent.due import Disk, Witness
from asyncamanda.core.agent.summary import Summary, judge_summary
from asyncamanda.core.dispatch.drills import DiskProof
from asyncamanda.core.exposure.record import DumpMark, Sighting, UseRecord
from asyncamanda.core.fleet.checking import check_client, check_fleet, name_some
from asyncamanda.core.fleet.facts import ConfigFacts, DiskFacts, Exposure
from asyncamanda.core.fleet.standing import ClientState, ClientView, FleetView
from asyncamanda.core.model import Attempt, DumpRecord, Outcome, Policy
from asyncamanda.core.values.plugin import CheckLimits, PerfValue, PluginAnswer, PluginStatus
from asyncamanda.core.values.threshold import NEVER_ALERTED, Thresholds, parse_range
from asyncamanda.report.plugin import render_plugin_answer

NASTY = "a | b=1\x1b[31m\nBACKUP OK: all is well\udcff"


def limit(warning: str = "", critical: str = "") -> Thresholds:
    """Return limits as the command line has them."""
    return Thresholds(*(parse_range(text) if text else None for text in (warning, critical)))


def show(answer: PluginAnswer) -> Output:
    """Return what is printed, as its reader sees it."""
    return read_output(render_plugin_answer(answer) + "\n", int(answer.status))


def check(view: ClientView, limits: CheckLimits | None = None) -> Output:
    """Return what is said of one client."""
    return show(check_client([view], limits or CheckLimits(), NOON))


def in_state(state: ClientState, *, alarm: str = "") -> ClientView:
    """Return a client in that state, backed up six hours ago and used for one since."""
    view = make_client(1, "laptop", NOON)
    return replace(view, standing=replace(view.standing, state=state, alarm=alarm))


# -- the form


def test_the_line_has_at_most_80_characters_and_the_rest_follows() -> None:
    """What does not fit is whole in a further line; what was said is not said again."""
    long = f"laptop: {'x' * 100}"
    shown = show(PluginAnswer(PluginStatus.CRITICAL, long, (), (long, "second")))
    assert (shown.text[-3:], shown.lines) == ("...", (long, "second"))
    shown = show(PluginAnswer(PluginStatus.OK, "short", (), ("short", "second")))
    assert (shown.text, shown.lines) == ("short", ("second",))


def test_what_others_wrote_adds_no_line_and_no_number() -> None:
    """A reason may have a line's end, a | and a terminal's codes in it."""
    values = (PerfValue(NASTY, 1.0), PerfValue("it's", 2.0))
    shown = show(PluginAnswer(PluginStatus.WARNING, NASTY, values, (NASTY,)))
    assert shown.text == r"a / b=1\x1b[31m BACKUP OK: all is well\udcff"
    assert list(shown.numbers) == [r"a / b_1\x1b[31m BACKUP OK: all is well\udcff", "it's"]
    assert shown.lines == ()


def test_further_lines_end_before_nagios_cuts_them() -> None:
    """It reads 8 kB; older NRPE far less."""
    shown = show(PluginAnswer(PluginStatus.OK, "x", (), tuple("y" * 500 for _ in range(100))))
    assert 10 < len(shown.lines) < 25
    assert all(len(line) == 200 for line in shown.lines)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (PerfValue("age", None, "s", limit("1d")), "age=U"),
        (PerfValue("age", 90.0, "s", limit("1h", "~:1d")), "age=90s;3600;~:86400;0"),
        (PerfValue("age", 90.0, "s"), "age=90s;;;0"),
        (PerfValue("a b", 1.5, "", NEVER_ALERTED, 3.0), "'a b'=1.5;;;0;3"),
    ],
)
def test_numbers_are_written_as_plugins_write_them(value: PerfValue, shown: str) -> None:
    """With limits in plain numbers; U where nothing is known."""
    text = render_plugin_answer(PluginAnswer(PluginStatus.OK, "x", (value,)))
    assert text == f"BACKUP OK: x | {shown}"
    read_output(text, 0)


# -- one client of the server's


@pytest.mark.parametrize("state", ClientState)
def test_only_an_alarm_is_critical(state: ClientState) -> None:
    """A laptop that is away, put off or waits is no fault; and who is gone is nobody's."""
    expected = "UNKNOWN" if state is ClientState.UNKNOWN else "OK"
    assert check(in_state(state)).status == expected
    is_gone = state in {ClientState.LOST, ClientState.RETIRED}
    alarmed = check(in_state(state, alarm="3 runs failed"))
    assert alarmed.status == ("OK" if is_gone else "CRITICAL")
    assert is_gone or alarmed.text == "laptop: 3 runs failed"


def test_a_client_has_its_numbers_and_its_reasons() -> None:
    """Age, exposure and proof in seconds, with the limits; evidence in further lines."""
    limits = CheckLimits(limit("5h", "3d"), limit("10h", "20h"), limit("", "30d"))
    shown = check(in_state(ClientState.PROTECTED), limits)
    assert shown.status == "WARNING"
    assert shown.text.startswith("laptop: last backup 6h ago; /srv not proved restorable: ")
    assert shown.numbers == {
        "age": Number(6 * 3600, "s", "18000", "259200", 0),
        "exposure": Number(3600, "s", "36000", "72000", 0),
        "proof_age": Number(6 * 3600, "s", "", "2592000", 0),
    }
    assert shown.lines[1] == "daily: protected, as it should be"
    assert "its last dump was confirmed" in shown.lines


def test_the_worst_is_said_first() -> None:
    """And all that is wrong beside it."""
    limits = CheckLimits(limit("1h"), limit("", "30m"), limit("5h"))
    shown = check(in_state(ClientState.AWAY), limits)
    assert shown.status == "CRITICAL"
    assert shown.text == "laptop: used for 1h since its last backup; last backup 6h ag..."
    assert shown.lines[0].endswith(
        "; last backup 6h ago; last proved restorable 6h ago; "
        "/srv not proved restorable: the image is cut off"
    )


def test_a_client_too_old_to_say_is_unknown_unless_limits_judge_it() -> None:
    """Its age is known by the server alone."""
    view = in_state(ClientState.UNKNOWN)
    assert check(view).status == "UNKNOWN"
    assert check(view, CheckLimits(limit("1d"))).status == "OK"
    assert check(view, CheckLimits(limit("", "1h"))).status == "CRITICAL"


def test_without_a_backup_the_time_since_enrolment_counts() -> None:
    """Its age is not known, and its limit holds anyway."""
    view = in_state(ClientState.NEVER)
    disks = (DiskFacts("/home", None, None, DiskProof()),)
    facts = replace(view.facts, disks=disks, exposure=Exposure(None), known_since=NOON - 2 * DAY)
    view = replace(view, facts=facts)
    shown = check(view, CheckLimits(limit("1d", "3d")))
    assert (shown.status, shown.text) == ("WARNING", "laptop: no backup, known for 2d")
    assert [number.value for number in shown.numbers.values()] == [None, None, None]
    nothing = replace(view, facts=replace(facts, known_since=None))
    assert check(nothing, CheckLimits(limit("1d"))).status == "OK"


def test_the_disk_that_is_furthest_behind_counts() -> None:
    """Not one that Amanda is configured to leave out, nor one that is new and has its turn yet."""
    view = in_state(ClientState.PROTECTED)
    home, srv = view.facts.disks
    assert home.confirmed
    old = replace(home.confirmed, dumped_at=NOON - 9 * DAY)
    for parked, age in ((False, 9 * DAY), (True, 6 * HOUR)):
        disks = (home, srv, replace(home, disk="/old", confirmed=old, is_parked=parked))
        shown = check(replace(view, facts=replace(view.facts, disks=disks)))
        assert shown.numbers["age"].value == age.total_seconds()


def test_a_failed_proof_is_a_warning_where_proofs_are_asked_for() -> None:
    """The image of make_client()'s /srv is cut off."""
    view = in_state(ClientState.PROTECTED)
    shown = check(view, CheckLimits(proof=limit("", "30d")))
    assert (shown.status, shown.text) == (
        "WARNING",
        "laptop: /srv not proved restorable: the image is cut off",
    )


def test_a_client_of_two_configurations_is_as_bad_as_the_worse() -> None:
    """The other one is in the further lines."""
    bad, good = in_state(ClientState.FAILING, alarm="3 runs failed"), in_state(ClientState.AWAY)
    good = replace(good, facts=replace(good.facts, amanda_config="weekly"))
    shown = show(check_client([good, bad], CheckLimits(), NOON))
    assert (shown.status, shown.text) == ("CRITICAL", "laptop: 3 runs failed")
    assert any(line.startswith("weekly: ") for line in shown.lines)


# -- the fleet


def test_the_fleet_names_who_needs_somebody() -> None:
    """Lost and retired ones are not counted."""
    shown = show(check_fleet(make_fleet(13), CheckLimits()))
    assert (shown.status, shown.text) == (
        "CRITICAL",
        "2 of 11 clients need you: laptop0002, laptop0004",
    )
    assert shown.lines == (
        "CRITICAL laptop0002: 3 runs failed: no space left on device",
        "CRITICAL laptop0004: no backup since it was enrolled",
    )
    assert shown.numbers["clients"] == Number(11, least=0)
    assert shown.numbers["alarms"] == Number(2, least=0, most=11)
    assert shown.numbers["protected"] == Number(3, least=0, most=11)
    assert shown.numbers["waiting"] == Number(1, least=0)
    counted = [state.value for state in ClientState if state.value in shown.numbers]
    assert len(counted) == len(ClientState) - 2


def test_a_large_fleet_still_fits() -> None:
    """The line counts whom it has no room for, and so do the further lines."""
    shown = show(check_fleet(make_fleet(5000), CheckLimits()))
    assert shown.text == "770 of 4232 clients need you: laptop0002, laptop0004 +768"
    assert shown.lines[-1] == "and 750 more"


def test_limits_hold_for_every_client() -> None:
    """The worst are first."""
    fleet = FleetView(NOON, (in_state(ClientState.AWAY), make_client(2, "tower", NOON)))
    shown = show(check_fleet(fleet, CheckLimits(limit("5h", ""))))
    assert shown.text == "2 of 2 clients need you: tower, laptop"
    assert shown.lines[1] == "WARNING laptop: last backup 6h ago"
    one = FleetView(NOON, (in_state(ClientState.AWAY),))
    assert (
        show(check_fleet(one, CheckLimits(limit("5h")))).text == "1 of 1 client needs you: laptop"
    )


def test_a_fleet_without_alarms_is_well() -> None:
    """Also one whose agents are too old to say when a backup is due."""
    fleet = FleetView(NOON, (in_state(ClientState.UNKNOWN), in_state(ClientState.AWAY)))
    shown = show(check_fleet(fleet, CheckLimits()))
    assert (shown.status, shown.text) == ("OK", "2 clients, none needs you")
    assert shown.numbers["waiting"].value is None


def test_what_could_not_be_looked_at_is_unknown_unless_something_is_wrong() -> None:
    """And so is a server without a client: it may be the wrong machine."""
    fault = "daily: its holding disk cannot be measured"
    fleet = FleetView(NOON, (in_state(ClientState.AWAY),), (ConfigFacts("daily"),), faults=(fault,))
    shown = show(check_fleet(fleet, CheckLimits()))
    assert (shown.status, shown.text) == ("UNKNOWN", fault)
    failing = (in_state(ClientState.FAILING, alarm="3 runs failed"),)
    shown = show(check_fleet(replace(fleet, clients=failing), CheckLimits()))
    assert (shown.status, shown.lines[-1]) == ("CRITICAL", fault)
    assert show(check_fleet(fleet, CheckLimits(limit("1h")))).status == "WARNING"
    shown = show(check_fleet(FleetView(NOON, ()), CheckLimits()))
    assert (shown.status, shown.text) == ("UNKNOWN", "no client is enrolled")


def test_names_are_told_as_far_as_there_is_room() -> None:
    """And counted from there on."""
    assert name_some(["a", "b", "c"], 7) == "a, b, c"
    assert name_some(["a", "b", "c"], 6) == "a +2"
    assert name_some(["abcdef"], 3) == "abcdef"
    assert name_some(["abcdef", "b"], 3) == "2 of them"


# -- the client itself


def summary(age: timedelta | None, **changes: object) -> Summary:
    """Return a machine whose one disk was backed up that long ago."""
    last = DumpRecord("/home", 0, NOON - age) if age is not None else None
    kept = Summary(
        NOON,
        NOON - 9 * DAY,
        Witness.SERVER,
        Policy(DAY, stale_after=7 * DAY, disks=("/home",)),
        (Disk("/home", last, proved_at=NOON - 5 * DAY),),
        (),
        NOON,
        None,
        None,
        None,
    )
    return replace(kept, **changes)  # type: ignore[arg-type]


def check_self(kept: Summary, limits: CheckLimits | None = None, at: datetime = NOON) -> Output:
    """Return what a machine says of itself."""
    status = judge_summary(kept, at)
    words = f"{status.state.value}: as told"
    return show(check_status(kept, status, words, limits or CheckLimits(), at))


def test_a_machine_s_own_hours_of_use_are_alerted_where_that_is_asked_for() -> None:
    """However long ago the backup was; what is not known is no number, and no alert."""
    last = Sighting("boot", NOON, 90_000.0)
    use = UseRecord(90_000.0, 0, last, dumps=(DumpMark(NOON - 2 * DAY, 18_000.0, 0),))
    limits = CheckLimits(exposure=limit("10h", "1d"))
    shown = check_self(summary(2 * DAY, use=use), limits)
    assert (shown.status, shown.text) == ("WARNING", "used for 20h since its last backup")
    assert shown.numbers["exposure"].value == 72_000
    unknown = check_self(summary(2 * DAY), limits)
    assert (unknown.status, unknown.numbers["exposure"].value) == ("OK", None)


@pytest.mark.parametrize(
    ("kept", "status", "words"),
    [
        (summary(HOUR), "OK", "well"),
        (summary(2 * DAY), "OK", "overdue"),
        (summary(8 * DAY), "CRITICAL", "stale"),
        (summary(None, since=NOON - DAY), "OK", "never"),
        (summary(None), "CRITICAL", "stale"),
        (
            summary(2 * DAY, attempts=(Attempt(NOON, NOON, Outcome.FAILED),)),
            "CRITICAL",
            "failing",
        ),
        (
            summary(2 * DAY, attempts=(Attempt(NOON, NOON, Outcome.DEFERRED),)),
            "OK",
            "deferred",
        ),
        (summary(None, disks=(Disk("/home", is_parked=True),)), "CRITICAL", "stale"),
        (summary(None, disks=(Disk("/home", is_parked=True),), since=NOON), "WARNING", "parked"),
    ],
)
def test_what_people_are_notified_of_is_critical(kept: Summary, status: str, words: str) -> None:
    """A backup that is only due is not: the laptop waits for a better moment or its server."""
    shown = check_self(kept)
    assert (shown.status, shown.text) == (status, f"{words}: as told")


def test_limits_come_to_what_a_machine_says_of_itself() -> None:
    """With its numbers; a proof by either side counts."""
    limits = CheckLimits(limit("26h", "3d"), proof=limit("30d"))
    shown = check_self(summary(2 * DAY), limits)
    assert (shown.status, shown.text) == ("WARNING", "last backup 2d ago")
    assert shown.numbers == {
        "age": Number(2 * 86400, "s", "93600", "259200", 0),
        "exposure": Number(None),
        "proof_age": Number(5 * 86400, "s", "2592000", "", 0),
        "disks": Number(1, least=0),
        "fresh": Number(0, least=0, most=1),
    }
    assert check_self(summary(4 * DAY), limits).status == "CRITICAL"
    shown = check_self(summary(None, since=NOON - 2 * DAY), limits)
    assert (shown.status, shown.text) == ("WARNING", "no backup, known for 2d")
    assert shown.numbers["age"].value is None
    failed = Disk("/home", DumpRecord("/home", 0, NOON), proof_fault="as root, status says why")
    shown = check_self(summary(HOUR, disks=(failed,)), limits)
    assert (shown.status, shown.text) == ("WARNING", "/home not proved restorable")
