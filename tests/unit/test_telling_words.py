"""In which words a client's change is told, and a whole office's."""

from dataclasses import replace
from datetime import timedelta

from tests.fleets import HOUR, NOON, make_client, make_fleet

from asyncamanda.core.agent.alerts import AlertKind, render_body, render_subject
from asyncamanda.core.fleet.changes import EXPOSED, WELL, ClientChange, ToldState, plan_telling
from asyncamanda.core.fleet.standing import ClientState, FleetView
from asyncamanda.core.fleet.telling import (
    LISTED,
    explain_silence,
    summarise_fleet,
    word_change,
    word_folded,
)

FLEET = make_fleet(0)


def change(name: str, state: str, alarm: str = "", sentence: str = "as it is") -> ClientChange:
    """A change to that state, which is to be told now."""
    made = make_client(0, name, NOON)
    standing = replace(made.standing, alarm=alarm, sentence=sentence, evidence=("seen so",))
    return ClientChange(replace(made, standing=standing), ToldState(state, NOON))


def test_a_fault_is_for_the_doctor_and_exposure_is_shown() -> None:
    """Each with its reason; what is over asks for nothing."""
    failing = word_change(change("laptop", "failing", "failing: no space"), FLEET, "amanda")
    assert failing.kind is AlertKind.FAILED
    assert render_subject(failing) == "asyncamanda: laptop: failing: no space"
    assert render_body(failing) == (
        "laptop: failing: no space\n\nseen so\n\n"
        "What to do: on the server, as root: asyncamanda server doctor laptop\n\n"
        "amanda, 2026-11-30 12:00 UTC\n"
    )
    exposed = word_change(change("laptop", EXPOSED, "no backup for 9d; 7d allowed"), FLEET, "a")
    assert exposed.kind is AlertKind.STALE
    assert exposed.hint == "on the server, as root: asyncamanda server fleet laptop"
    over = word_change(change("laptop", WELL, sentence="protected"), FLEET, "a")
    assert (over.kind, over.summary, over.hint) == (
        AlertKind.RECOVERED,
        "laptop is backed up again",
        "",
    )


def test_an_office_is_counted_and_named() -> None:
    """The alarms first, and as many names as there is room for."""
    changes = [change(f"pc{n:02}", EXPOSED, "no backup for 9d") for n in range(LISTED)]
    changes += [change("tower", "failing", "failing: x"), change("fern", WELL)]
    alert = word_folded(changes, FLEET, "amanda")
    assert alert.kind is AlertKind.FAILED
    assert alert.summary == (
        "41 clients need attention (40 exposed, 1 failing); 1 client is backed up again"
    )
    lines = alert.detail.splitlines()
    assert (lines[0], lines[-1], len(lines)) == (
        "pc00: no backup for 9d",
        "and 2 more",
        LISTED + 1,
    )
    assert word_folded(changes[:2], FLEET, "amanda").kind is AlertKind.STALE
    assert word_folded(changes[-1:] * 2, FLEET, "amanda").kind is AlertKind.RECOVERED


def test_a_server_that_nobody_reaches_says_so_first() -> None:
    """It may be its uplink; not while one is connected, or was just now."""
    away = [replace(make_client(0, "x", NOON).facts, is_connected=False, last_seen=NOON - 3 * HOUR)]
    view = make_client(0, "x", NOON)
    fleet = FleetView(NOON, (replace(view, facts=away[0]),))
    assert explain_silence(fleet).startswith("No client at all is connected, the last one was 3h")
    for facts in (
        replace(away[0], is_connected=True),
        replace(away[0], last_seen=NOON - timedelta(minutes=59)),
        replace(away[0], last_seen=None),
    ):
        assert explain_silence(FleetView(NOON, (replace(view, facts=facts),))) == ""


def test_what_others_say_is_one_line() -> None:
    """In a subject, and in each line of a list."""
    nasty = change("laptop", "failing", "a\x1b[31m\nb" * 99)
    for alert in (word_change(nasty, FLEET, "s"), word_folded([nasty] * 2, FLEET, "s")):
        text = f"{render_subject(alert)}\n{render_body(alert)}"
        assert "\x1b" not in text
        assert all(len(line) < 300 for line in text.splitlines())


def test_a_watchdog_hears_a_line() -> None:
    """And what could not be looked at; those that are lost do not count."""
    fleet = replace(make_fleet(26), faults=("daily: no",))
    lost = {ClientState.LOST, ClientState.RETIRED}
    members = [each for each in fleet.clients if each.standing.state not in lost]
    (message,) = plan_telling(fleet, {}).messages
    protected = sum(each.standing.state is ClientState.PROTECTED for each in members)
    assert summarise_fleet(fleet) == (
        f"{protected} of {len(members)} clients are protected, {len(message)} need attention\n"
        "daily: no"
    )
