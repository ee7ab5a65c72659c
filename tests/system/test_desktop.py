"""Telling people on their desktop: at once in their own session, else by way of root."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from tests.system.desktops import Desktops, lend_desktops
from tests.system.watching import until

from asyncamanda.client.notify.handoff import encode_alerts
from asyncamanda.core.agent.alerts import AlertKind, word_alert
from asyncamanda.system.clock import now

if TYPE_CHECKING:
    from tests.system.conftest import Rig

ALICE, BOB = 41_001, 41_002  # which no machine gives away
LEFT = "/var/lib/asyncamanda/client/desktop.json"
TEST = "a test notification from laptop"


@pytest.fixture
def desktops(rig: Rig) -> Iterator[Desktops]:
    """Yield the laptop, on which people log in."""
    rig.configure()
    with lend_desktops(rig) as lent:
        yield lent


def leave(rig: Rig, age: timedelta = timedelta(), detail: str = "") -> None:
    """Leave a failure's alert for root, as the Amanda user does."""
    alert = word_alert(AlertKind.FAILED, "laptop", now(), detail=detail)
    text = encode_alerts([replace(alert, at=alert.at - age)])
    rig.laptop.write(LEFT, text, owner="backup", mode=0o600)


def is_left(rig: Rig) -> bool:
    """Return whether something waits for root."""
    return rig.laptop.path(LEFT).exists()


def test_in_ones_own_session_it_is_shown_at_once(desktops: Desktops) -> None:
    """With this program's name, an icon and the urgency of no alarm."""
    rig = desktops.rig
    desktops.log_in("alice", ALICE)
    done = rig.run("notify", "--test", "--config", rig.config, user="alice")
    assert (done.exit, "desktop" in done.stdout) == (0, True)
    (line,) = desktops.shown(ALICE)
    assert f'Notify "asyncamanda" 0 "drive-harddisk" "{TEST}" "Nothing is wrong."' in line
    assert '{"urgency": 1}' in line


def test_a_desktop_that_hangs_is_a_problem(desktops: Desktops) -> None:
    """After ten seconds at most."""
    rig = desktops.rig
    desktops.log_in("alice", ALICE)
    desktops.freeze()
    done = rig.run("notify", "--test", "--config", rig.config, user="alice")
    assert done.exit == 75
    assert "no answer in time" in done.stdout
    assert done.seconds < 12


def test_without_a_session_there_is_no_desktop(desktops: Desktops) -> None:
    """Which is for later."""
    desktops.log_in("alice", ALICE)
    desktops.log_in("bob", BOB)
    desktops.rig.laptop.remove(f"/run/user/{BOB}/bus")
    config = desktops.rig.config
    done = desktops.rig.run("notify", "--test", "--config", config, user="bob")
    assert (done.exit, "no open desktop session" in done.stdout) == (75, True)


def test_the_amanda_user_leaves_it_and_root_shows_it(desktops: Desktops) -> None:
    """To everybody who is logged in, as that user; then it is gone."""
    rig = desktops.rig
    for name, uid in (("alice", ALICE), ("bob", BOB)):
        desktops.log_in(name, uid)
    done = rig.run("notify", "--test", "--json")
    (row,) = (row for row in done.json if row["channel"] == "desktop")
    assert (done.exit, row["problem"], "left for root" in row["remark"]) == (0, None, True)
    status = rig.laptop.path(LEFT).stat()
    assert (status.st_uid, status.st_mode & 0o777) == (rig.laptop.account("backup").uid, 0o600)
    done = rig.run("notify", "--desktop", "--json")
    assert done.exit == 0
    assert {row["channel"]: row["problem"] for row in done.json} == {
        "desktop of alice": None,
        "desktop of bob": None,
    }
    assert all(TEST in line for uid in (ALICE, BOB) for line in desktops.shown(uid))
    assert not is_left(rig)
    again = rig.run("notify", "--desktop")
    assert (again.exit, again.stdout, len(desktops.shown(ALICE))) == (0, "", 1)


def test_an_alarm_stays_on_the_screen_and_its_text_is_text(desktops: Desktops) -> None:
    """A desktop may read a body as markup; one that does not gets it as it is."""
    rig = desktops.rig
    desktops.log_in("alice", ALICE)
    desktops.log_in("bob", BOB, capabilities="body")
    leave(rig, detail='<a href="x">&\x1b\ud800')
    assert rig.run("notify", "--desktop").exit == 0
    (markup,), (plain,) = desktops.shown(ALICE), desktops.shown(BOB)
    assert '"dialog-warning" "the backup of laptop failed"' in markup
    assert '{"urgency": 2}' in markup
    assert '&lt;a href="x"&gt;&amp;\\x1b\\ud800' in markup
    assert '<a href="x">&\\x1b\\ud800' in plain


def test_where_nobody_is_logged_in_it_waits(desktops: Desktops) -> None:
    """Three days; then it is no news any more."""
    rig = desktops.rig
    leave(rig, timedelta(days=2, hours=23))
    assert rig.run("notify", "--desktop").exit == 0
    assert is_left(rig)
    leave(rig, timedelta(days=3, minutes=1))
    assert rig.run("notify", "--desktop").exit == 0
    assert not is_left(rig)


def test_logind_says_who_is_somebody(desktops: Desktops) -> None:
    """The login screen's own user is nobody, and a bus may be left without a session."""
    rig = desktops.rig
    desktops.log_in("alice", ALICE)
    desktops.log_in("bob", BOB)
    desktops.start_logind({ALICE: "user", BOB: "greeter"})
    leave(rig)
    done = rig.run("notify", "--desktop", "--json")
    assert [row["channel"] for row in done.json] == ["desktop of alice"]
    assert (len(desktops.shown(ALICE)), len(desktops.shown(BOB))) == (1, 0)


def test_a_user_who_takes_nothing_does_not_keep_it_from_the_next(desktops: Desktops) -> None:
    """A stopped desktop costs ten seconds at most, and what nobody saw stays."""
    rig = desktops.rig
    desktops.log_in("alice", ALICE)
    desktops.freeze()
    leave(rig)
    done = rig.run("notify", "--desktop", "--json")
    (row,) = done.json
    assert (done.exit, row["problem"]) == (0, "none of their desktops accepts notifications")
    assert is_left(rig)
    assert done.seconds < 12


@pytest.mark.parametrize("trick", ["link", "fifo", "folder", "other", "nonsense", "root's folder"])
def test_root_is_not_led_astray(desktops: Desktops, trick: str) -> None:
    """The folder is the Amanda user's, who may put anything there: nothing of it is shown."""
    rig = desktops.rig
    desktops.log_in("alice", ALICE)
    leave(rig)
    place, host = rig.laptop.path(LEFT), rig.laptop
    text = host.read(LEFT)
    place.unlink()
    if trick == "link":
        host.write("/srv/secret", text, mode=0o600)
        place.symlink_to("/srv/secret")
    elif trick == "fifo":
        host.run(["mkfifo", LEFT], user="backup")
    elif trick == "folder":
        host.make_directory(LEFT, owner="backup")
    elif trick == "other":
        host.write(LEFT, text, owner="alice")
    elif trick == "nonsense":
        host.write(LEFT, "root:$6$secret:19000", owner="backup")
    else:
        host.write("/srv/client/desktop.json", text, owner="backup")
        place.parent.rename(place.parent.with_name("away"))
        place.parent.symlink_to("/srv/client")
    done = rig.run("notify", "--desktop")
    assert done.exit == 0
    assert "secret" not in done.stdout + done.stderr
    assert desktops.shown(ALICE) == []
    if trick == "root's folder":
        assert host.path("/srv/client/desktop.json").exists()


def test_only_root_reaches_other_peoples_desktops(desktops: Desktops) -> None:
    """Who else asks is told so."""
    done = desktops.rig.run("notify", "--desktop", "--json", user="backup")
    assert (done.exit, done.json["error"]) == (77, "not-root")


def test_only_the_newest_of_a_kind_is_left(desktops: Desktops) -> None:
    """However often it is left, nobody is shown the same twice."""
    rig = desktops.rig
    leave(rig)
    for _ in range(2):
        assert rig.run("notify", "--test").exit == 0
    desktops.log_in("alice", ALICE)
    assert rig.run("notify", "--desktop").exit == 0
    until(lambda: len(desktops.shown(ALICE)) == 2, "the failure and one test are shown")
