"""What `server doctor` says of an sshd that shuts addresses out."""

import pytest

from asyncamanda.core.doctor.findings import Health
from asyncamanda.core.doctor.penalties import judge_penalties

# as OpenSSH 10.0 prints them
ON = "persourcepenalties crash:90 authfail:5 noauth:1 grace-exceeded:10 max:600 min:15\n"
NONE = f"port 22\npersourcepenaltyexemptlist none\n{ON}"
OFFICE = f"persourcepenaltyexemptlist 192.0.2.17,2001:db8::/64\n{ON}"


@pytest.mark.parametrize(
    "printed", ["", "port 22\n", "persourcepenalties no\n", "persourcepenalties\n"]
)
def test_an_sshd_without_penalties_is_not_spoken_of(printed: str) -> None:
    """An older one, or one in which they are off."""
    assert judge_penalties(printed, is_there=False) is None
    assert judge_penalties(printed, is_there=True) is None


@pytest.mark.parametrize(
    ("printed", "is_there", "health", "words"),
    [
        (NONE, False, Health.WARNING, "exempts none"),
        (NONE, True, Health.OK, "none is exempt"),
        (ON, False, Health.WARNING, "exempts none"),
        (OFFICE, False, Health.OK, "exempt: 192.0.2.17, 2001:db8::/64"),
        (OFFICE, True, Health.OK, "exempt: 192.0.2.17"),
    ],
)
def test_a_client_that_is_away_may_be_shut_out(
    printed: str, is_there: bool, health: Health, words: str
) -> None:
    """It is warned of where it may be the reason, and no address is spared."""
    check = judge_penalties(printed, is_there=is_there)
    assert check is not None
    assert (check.name, check.health) == ("penalties", health)
    assert words in check.found
