"""Whatever a fleet does: nothing is told twice, nothing is lost, and messages are few."""

from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from tests.fleets import HOUR, NOON, make_client

from asyncamanda.core.fleet.changes import (
    SINGLY,
    WELL,
    ToldState,
    choose_views,
    name_alarm,
    plan_telling,
)
from asyncamanda.core.fleet.standing import ClientState, ClientView, FleetView

STATES = (ClientState.PROTECTED, ClientState.FAILING, ClientState.NEVER, ClientState.AWAY)
CLIENTS = 6
MINUTE = timedelta(minutes=1)

# how long until the next look, whether its message goes, and what the clients are then
LOOKS = st.lists(
    st.tuples(
        st.integers(1, 90),
        st.booleans(),
        st.lists(st.sampled_from(STATES), min_size=CLIENTS, max_size=CLIENTS),
    ),
    max_size=30,
)


def view(number: int, state: ClientState) -> ClientView:
    """The client of that number; away it is exposed."""
    made = make_client(0, f"pc{number}", NOON)
    is_alarm = state in {ClientState.FAILING, ClientState.NEVER}
    standing = replace(
        made.standing,
        state=state,
        alarm="it failed" if is_alarm else "",
        is_exposed=state is ClientState.AWAY,
    )
    return replace(made, standing=standing)


def fleet(states: list[ClientState], at: datetime) -> FleetView:
    """The clients in these states."""
    return FleetView(at, tuple(view(number, state) for number, state in enumerate(states)))


@given(LOOKS)
def test_nothing_is_told_twice_and_nothing_is_lost(
    looks: list[tuple[int, bool, list[ClientState]]],
) -> None:
    """A channel that cannot be reached for a while, and then hourly looks at clients that stay."""
    last = looks[-1][2] if looks else [ClientState.PROTECTED] * CLIENTS
    now, told, sent_at = NOON, dict[str, ToldState](), []
    heard: dict[str, list[str]] = {}
    for minutes, goes, states in [*looks, *[(60, True, last)] * 80]:
        now += minutes * MINUTE
        for message in plan_telling(fleet(states, now), told).messages if goes else ():
            sent_at.append(now)
            for change in message:
                told[change.view.facts.client] = change.told
                heard.setdefault(change.view.facts.client, []).append(change.told.state)
    for name, each in choose_views(fleet(last, now).clients).items():
        assert told.get(name, ToldState(WELL, now)).state == name_alarm(each)
    for states_heard in heard.values():
        assert states_heard[0] != WELL
        assert all(before != after for before, after in pairwise(states_heard))
    for at in sent_at:
        assert sum(at - HOUR < other <= at for other in sent_at) <= SINGLY + 1
