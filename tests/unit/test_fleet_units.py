"""What makes a server look at its fleet: a timer, or a line for cron."""

import re

from asyncamanda.core.schedule import fleet_units
from asyncamanda.core.schedule.schedule import is_ours

PROGRAM = "/usr/local/bin/asyncamanda"


def test_the_service_makes_one_look() -> None:
    """And becomes the Amanda user by itself: sendmail may need what is setgid."""
    text = fleet_units.render_fleet_service(PROGRAM)
    assert f"\nExecStart={PROGRAM} server refresh\n" in text
    assert "\nUser=" not in text
    assert "NoNewPrivileges" not in text
    assert "RestrictSUIDSGID" not in text
    assert "ProtectSystem=strict" not in text


def test_each_server_has_a_minute_of_its_own() -> None:
    """Always the same, in the timer and in cron's line."""
    timers = {fleet_units.render_fleet_timer(machine) for machine in "abcdefgh"}
    assert len(timers) == 8
    found = re.search(r"OnCalendar=\*:(\d\d):\d\d", fleet_units.render_fleet_timer("a"))
    assert found
    cron = fleet_units.render_fleet_cron(PROGRAM, "amanda", "a")
    line = f"{int(found[1])} * * * * amanda {PROGRAM} server refresh >/dev/null 2>&1\n"
    assert cron.endswith(line)
    assert "Persistent=true" in fleet_units.render_fleet_timer("a")


def test_what_schedule_writes_is_not_mistaken_for_it() -> None:
    """A server may be its own client: `schedule remove` leaves these alone."""
    assert fleet_units.CRON_FILE != "/etc/cron.d/asyncamanda"
    assert not is_ours(fleet_units.render_fleet_timer("a"))
