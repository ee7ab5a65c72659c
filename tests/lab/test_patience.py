"""How long the lab and its tests wait, by how busy the machine is."""

import pytest

from lab import patience
from lab.patience import Limit, at_most, bound, stretched


def test_a_busy_machine_stretches_every_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """In proportion; what is set for a program has room for some work beside it."""
    for slowness, most, told in ((1, 10, "2s"), (4, 40, "2s"), (8, 80, "4s"), (9, 90, "4.5s")):
        monkeypatch.setattr(patience, "slowness", lambda slow=slowness: slow)
        assert (at_most(10), bound(2)) == (most, told)
        assert stretched(2) == f"{2 * slowness}s"
        assert bound(2, 4) == ("4s" if slowness > 4 else told)


def test_time_counts_for_less_while_the_machine_is_busy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only as long as it is; what hangs is found in the end."""
    now, slow = 0.0, 1.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    monkeypatch.setattr(patience, "slowness", lambda: slow)
    limit = Limit(10)
    now, slow = 9, 1
    assert not limit.is_over()
    now, slow = 18, 10
    assert not limit.is_over()  # 0.9 of those 9 seconds counted
    now, slow = 18.2, 1
    assert limit.is_over()


def test_a_machine_may_be_called_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Such as an old one that is idle."""
    monkeypatch.setenv("LAB_SLOWNESS", "1000")
    assert patience.slowness() == 1000
    monkeypatch.delenv("LAB_SLOWNESS")
    assert patience.slowness() >= 1
