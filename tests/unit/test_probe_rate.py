"""How often a set-up probes: four of them behind one address shut nobody out."""

import random

import pytest

from asyncamanda.core.ssh.probe_rate import ProbeReception, plan_nap, punishes

FAILED_LOGIN, NO_LOGIN, SHUT_ABOVE = 5.0, 1.0, 15.0  # sshd 10.0's, in seconds
LOOKS = 3  # at the host key: one, or one for each type where a fingerprint is looked for
TEN_MINUTES = 600.0


@pytest.mark.parametrize(
    ("banner", "is_punishing"),
    [
        ("SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3", False),
        ("SSH-2.0-OpenSSH_9.7", False),
        ("SSH-2.0-OpenSSH_9.8p1", True),
        ("SSH-2.0-OpenSSH_10.0p2 Debian-7", True),
        ("SSH-2.0-OpenSSH_for_Windows_8.6", True),  # not known
        ("SSH-2.0-dropbear_2022.83", True),
        ("", True),
        ("SSH-2.0-OpenSSH_" + "9" * 5000, True),
    ],
)
def test_who_punishes_is_known_by_the_greeting(banner: str, is_punishing: bool) -> None:
    """Where it is not, the set-up is gentle."""
    assert punishes(banner) is is_punishing


@pytest.mark.parametrize(
    ("probes", "last", "naps"),
    [
        (0, ProbeReception.HEARD, (10, 70)),
        (1, ProbeReception.HEARD, (60, 60)),
        (99, ProbeReception.HEARD, (60, 60)),
        (3, ProbeReception.SHUT_OUT, (60, 120)),
        (1, ProbeReception.NOT_REACHED, (10, 20)),  # which no sshd counts
    ],
)
def test_a_gentle_set_up_probes_once_a_minute(
    probes: int, last: ProbeReception, naps: tuple[float, float]
) -> None:
    """At a moment of its own."""
    found = [plan_nap(probes, x, is_gentle=True, last=last) for x in (0.0, 1.0)]
    assert tuple(found) == naps


def test_where_nobody_is_punished_it_probes_soon_and_then_less_often() -> None:
    """Ten seconds are the longest."""
    naps = [plan_nap(n, 0.7, is_gentle=False) for n in range(1000)]
    assert naps[:3] == [0.5, 0.75, 1.125]
    assert naps == sorted(naps)
    assert naps[-1] == 10


def count_penalties(seed: int, machines: int) -> int:
    """Return how often sshd would shut the address out in ten minutes, whoever comes then."""
    owed_until, penalties = 0.0, 0
    chances = [random.Random(f"{seed} {n}").random() for n in range(machines)]  # noqa: S311
    due = [(n / machines, chance, -1) for n, chance in enumerate(chances)]
    while due:
        at, chance, probes = min(due)
        due.remove((at, chance, probes))
        cost = FAILED_LOGIN if probes >= 0 else LOOKS * NO_LOGIN
        owed_until = max(owed_until, at) + cost
        penalties += owed_until - at > SHUT_ABOVE
        then = at + plan_nap(probes + 1, chance, is_gentle=True)
        if then < TEN_MINUTES:
            due.append((then, chance, probes + 1))
    return penalties


@pytest.mark.parametrize(("machines", "seldom"), [(1, 0), (2, 0), (3, 0), (4, 5)])
def test_four_set_ups_behind_one_address_hardly_ever_shut_it_out(
    machines: int, seldom: int
) -> None:
    """Begun within one second. Three never do; four only if they meet within five seconds."""
    assert sum(count_penalties(seed, machines) > 0 for seed in range(1000)) <= seldom


def test_probing_as_before_shut_it_out_at_once() -> None:
    """One alone did: ten seconds were the longest pause, and the first half a second."""
    owed, at = LOOKS * NO_LOGIN, 0.0
    for probes in range(4):
        nap = plan_nap(probes, 0.5, is_gentle=False)
        at, owed = at + nap, max(owed - nap, 0) + FAILED_LOGIN
    assert owed > SHUT_ABOVE
