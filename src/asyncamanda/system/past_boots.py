"""This machine's clocks, and what systemd's journal says of them in earlier system starts.

Each entry of the journal has CLOCK_MONOTONIC beside the wall clock (systemd.journal-fields(7),
`__MONOTONIC_TIMESTAMP` and `__REALTIME_TIMESTAMP`): the last entry of a start says for how long
that was awake. Proved by journald and journalctl in tests/system/test_past_boots.py.

wtmp is not read: it knows only the wall clock, counts sleep, and newer systems have none.
"""

import re
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta, tzinfo

from asyncamanda.core.exposure.days import day_of, midnight
from asyncamanda.core.exposure.record import Sighting
from asyncamanda.core.values.foreign import parse_json
from asyncamanda.system.clock import now as read_clock
from asyncamanda.system.processes import read_boot_id
from asyncamanda.system.programs import run_program

WITHIN = 10.0  # seconds for all that is asked of the journal
MOST_BOOTS = 100
SLEPT = timedelta(minutes=1)  # less is no sleep
_BOOT = re.compile(r"^\s*-?[0-9]+\s+([0-9a-f]{32})\b", re.MULTILINE)
_JOURNALCTL = ("journalctl", "--system", "--no-pager", "--quiet")


class NotSaidError(Exception):
    """The journal does not say all that is asked."""


def look_at_clocks() -> tuple[Sighting, Sighting] | None:
    """Return how this system start began, and how it stands now; None where it has no id."""
    with suppress(OSError):
        boot = read_boot_id().replace("-", "").strip()
        awake = time.clock_gettime(time.CLOCK_MONOTONIC)
        up = max(time.clock_gettime(time.CLOCK_BOOTTIME), awake)
        at = read_clock()
        return Sighting(boot, at - timedelta(seconds=up), 0.0), Sighting(boot, at, awake)
    return None


def look_back(last: Sighting, now: Sighting, zone: tzinfo) -> tuple[Sighting, ...] | None:
    """Return what the journal says of the time between two sightings, oldest first.

    That is how each system start ended, and what was seen of it last before each midnight. None if
    the journal does not say it all, or not within WITHIN seconds. Nobody is asked where the clocks
    say it all: within one start, on one day or without sleep.
    """
    is_same = last.boot == now.boot
    if is_same:
        slept = (now.at - last.at) - timedelta(seconds=now.awake - last.awake)
        if day_of(last.at, zone) == day_of(now.at, zone) or slept < SLEPT:
            return ()
    try:
        return tuple(_Journal().look_back(last, now, zone))
    except NotSaidError:
        return () if is_same else None


class _Journal:
    """The system's journal, asked until WITHIN seconds have gone by."""

    def __init__(self) -> None:
        self._ends_at = time.monotonic() + WITHIN

    def look_back(self, last: Sighting, now: Sighting, zone: tzinfo) -> list[Sighting]:
        """Return what look_back() does. Raises NotSaidError."""
        if last.boot == now.boot:
            return self._evenings(last, now, zone, lambda _: None)
        boots = self._list_boots()
        if last.boot not in boots:
            raise NotSaidError
        boots = [boot for boot in boots[boots.index(last.boot) :] if boot != now.boot]
        if len(boots) > MOST_BOOTS:
            raise NotSaidError
        found: list[Sighting] = []
        for boot in boots:
            before = found[-1] if found else last
            end = self._last_entry(boot)
            if end is None:
                raise NotSaidError
            if boot == last.boot:
                found += [*self._evenings(last, end, zone, lambda _: None), end]
            else:
                found += [*self._evenings(before, end, zone, _begin), end]
        return [one for one in found if one.boot != last.boot or one.awake > last.awake]

    def _list_boots(self) -> list[str]:
        """Return the ids of the system starts that the journal knows, oldest first."""
        return _BOOT.findall(self._ask("--list-boots"))

    def _evenings(
        self,
        before: Sighting,
        end: Sighting,
        zone: tzinfo,
        begin: Callable[[Sighting], Sighting | None],
    ) -> list[Sighting]:
        """Return the last entries before each midnight since `before`, of the start of `end`.

        And first how it began, if `begin` makes that of the first of them.
        """
        found: list[Sighting] = []
        day, first = day_of(end.at, zone), max(day_of(before.at, zone), day_of(end.at, zone) - _FAR)
        while day > first:
            entry = self._last_entry(end.boot, midnight(day, zone))
            if entry is None:
                break
            found.insert(0, entry)
            day -= timedelta(days=1)
        began = begin(found[0] if found else end)
        if began:
            found.insert(0, Sighting(began.boot, max(began.at, before.at), 0.0))
        return found

    def _last_entry(self, boot: str, until: datetime | None = None) -> Sighting | None:
        """Return the last entry of a system start, or the last one until then; None for none."""
        ends = [f"--until=@{int(until.timestamp()) - 1}"] if until else []
        # without --reverse it would look for --until in the last line alone
        newest = ("--reverse", "--lines=1", "--output=json", "--output-fields=MESSAGE_ID")
        said = self._ask(f"--boot={boot}", *newest, *ends)
        if not said.strip():
            return None
        try:
            entry = parse_json(said.splitlines()[-1])
            at = datetime.fromtimestamp(int(entry["__REALTIME_TIMESTAMP"]) / 1e6, UTC)
            return Sighting(boot, at, int(entry["__MONOTONIC_TIMESTAMP"]) / 1e6)
        except (ValueError, KeyError, TypeError, OverflowError, OSError) as error:
            raise NotSaidError from error

    def _ask(self, *options: str) -> str:
        within = self._ends_at - time.monotonic()
        if within <= 0:
            raise NotSaidError
        answer = run_program([*_JOURNALCTL, *options], within)
        if answer.status != 0:
            raise NotSaidError
        return answer.stdout


_FAR = timedelta(days=90)  # of which days are kept


def _begin(first: Sighting) -> Sighting:
    """Return how a system start began, whose first sighting that is."""
    return Sighting(first.boot, first.at - timedelta(seconds=first.awake), 0.0)
