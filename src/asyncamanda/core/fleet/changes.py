"""Which changes of clients a channel is told, and whether each by itself or all in one message.

Told are alarms and their ends, once a change. Who was told what, and when, is an argument: what a
channel could not be told is found again by the next look.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum

from asyncamanda.core.fleet.standing import ClientState, ClientView, FleetView

WELL = ""  # as the state that was told: that an alarm is over
EXPOSED = "exposed"
SINGLY = 3  # clients in an hour of whom each has a message of its own
MANY = 12  # clients in MANY_WITHIN: then the rest waits until those are no longer that many
HOUR, MANY_WITHIN = timedelta(hours=1), timedelta(hours=6)
LONGEST_WAIT = timedelta(hours=24)
CALM = timedelta(hours=48)  # without a change: what was before no longer makes anybody wait

_ALARMS = frozenset({ClientState.FAILING, ClientState.NEVER})
_GONE = frozenset({ClientState.LOST, ClientState.RETIRED})


@dataclass(frozen=True, slots=True)
class ToldState:
    """What a channel was told last of a client, at `at`: an alarm, or WELL after one.

    `times` counts the changes that were told without CALM between them, this one included.
    """

    state: str
    at: datetime
    times: int = 1


@dataclass(frozen=True, slots=True)
class ClientChange:
    """A change that is to be told: the client as it is, and what its channel has `told` by then.

    `told.state` is the alarm, or WELL where it is over.
    """

    view: ClientView
    told: ToldState

    @property
    def is_alarm(self) -> bool:
        """Whether somebody has to do something."""
        return self.told.state != WELL


class Fold(Enum):
    """How the changes of one look are told."""

    EACH = "each"  # in a message of its own
    FOLDED = "folded"  # in one message
    WAIT = "wait"  # by a later look


@dataclass(frozen=True, slots=True)
class Telling:
    """What a channel is told: each of `messages` has the changes that are in it.

    `forgotten` are clients of whom nothing is to be remembered any more.
    """

    messages: tuple[tuple[ClientChange, ...], ...] = ()
    forgotten: tuple[str, ...] = ()


def plan_telling(fleet: FleetView, told: Mapping[str, ToldState]) -> Telling:
    """Return what a channel that was `told` this, by client, is to hear about `fleet` now."""
    members = choose_views(fleet.clients)
    changes = find_changes(members.values(), told, fleet.at)
    ages = [fleet.at - each.at for each in told.values()]
    fold = Fold.FOLDED
    if told or len(changes) < 2:
        fold = decide_fold(len(changes), _count(ages, HOUR), _count(ages, MANY_WITHIN))
    messages: tuple[tuple[ClientChange, ...], ...] = ()
    if fold is Fold.EACH:
        messages = tuple((change,) for change in changes)
    elif fold is Fold.FOLDED and changes:
        messages = (changes,)
    # what could not be looked at may have them
    gone = () if fleet.faults else tuple(name for name in told if name not in members)
    return Telling(messages, gone)


def decide_fold(changed: int, last_hour: int, last_hours: int) -> Fold:
    """Return how `changed` clients are told, after those of the last hour and of MANY_WITHIN."""
    if last_hours > MANY:
        return Fold.WAIT
    if changed + last_hour <= SINGLY:
        return Fold.EACH
    return Fold.FOLDED if last_hour <= SINGLY else Fold.WAIT


def choose_views(views: Iterable[ClientView]) -> dict[str, ClientView]:
    """Return the members of the fleet by name; of several of one name the one with an alarm."""
    chosen: dict[str, ClientView] = {}
    for view in views:
        name = view.facts.client
        if view.standing.state not in _GONE and (name not in chosen or name_alarm(view)):
            chosen[name] = view
    return chosen


def find_changes(
    views: Iterable[ClientView], told: Mapping[str, ToldState], now: datetime
) -> tuple[ClientChange, ...]:
    """Return what is to be told about `views` to who was `told` this, by client; alarms first."""
    found = []
    for view in views:
        before = told.get(view.facts.client)
        state = _judge(view, before)
        if state == (before.state if before else WELL):
            continue
        times = _count_times(before, now)
        if before is None or now - before.at >= wait_after(times) or now < before.at:
            found.append(ClientChange(view, ToldState(state, now, times + 1)))
    return tuple(sorted(found, key=lambda each: (not each.is_alarm, each.view.facts.client)))


def wait_after(times: int) -> timedelta:
    """Return how long after that many changes of a client the next one is told.

    The first alarm and its end are told at once, and who goes on to change waits ever longer.
    """
    return min(HOUR * 2 ** min(times - 2, 10), LONGEST_WAIT) if times >= 2 else timedelta()


def name_alarm(view: ClientView) -> str:
    """Return the alarm that stands for a client, WELL if there is none."""
    standing = view.standing
    if standing.alarm and standing.state in _ALARMS:
        return standing.state.value
    return EXPOSED if standing.is_exposed or standing.alarm else WELL


def _judge(view: ClientView, before: ToldState | None) -> str:
    """Return the state that is to be told; what was told goes on until a backup ends it."""
    state = name_alarm(view)
    if state != WELL or before is None or before.state == WELL:
        return state
    is_over = view.standing.state is ClientState.PROTECTED or _is_backed_up_since(view, before.at)
    return WELL if is_over else before.state


def _is_backed_up_since(view: ClientView, at: datetime) -> bool:
    disks = [disk for disk in view.facts.disks if not disk.is_parked]
    begun = [disk.confirmed.dumped_at if disk.confirmed else None for disk in disks]
    return bool(begun) and all(each is not None and each > at for each in begun)


def _count_times(before: ToldState | None, now: datetime) -> int:
    """Return how many changes were told without CALM between them."""
    return before.times if before and timedelta() <= now - before.at < CALM else 0


def _count(ages: Sequence[timedelta], within: timedelta) -> int:
    return sum(timedelta() <= age < within for age in ages)
