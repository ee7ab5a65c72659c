"""What goes straight to volumes: dumps that the holding disk has no room for.

Runs use no volume, so a dump that the holding disk cannot take would never be made. It gets a run
of its own with the taper, for which Amanda is allowed as many volumes as it needs, up to half of
all: of a disk that takes more, the next full would overwrite what the last one needs.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta

from asyncamanda.core.amanda.reasons import is_of_room
from asyncamanda.core.amanda.trace import Key, Planned
from asyncamanda.core.model import DleVerdict, DumpState
from asyncamanda.core.values.size import format_size

_KIB = 1024
WASTED_WITHIN = timedelta(days=7)
MARGIN = 1.1  # an estimate may be too low, and each volume ends with some room left


@dataclass(frozen=True, slots=True)
class Volumes:
    """A configuration's volumes: how long each is in bytes, 0 where not known, and how many."""

    length: int = 0
    count: int = 0

    @property
    def most(self) -> int:
        """How many of them one run may take."""
        return max(self.count // 2, 1)

    @property
    def spare(self) -> int:
        """How many of them may be written to in vain, within WASTED_WITHIN, before that ends.

        A dump that is cut leaves what nobody can use on volumes that had older dumps; tried again
        and again, it would overwrite all that there is.
        """
        return max(self.count // 4, 1)

    @property
    def limit(self) -> int:
        """The largest that can be backed up at all, in bytes; 0 where that is not known."""
        return self.most * self.length if self.count > 1 else 0

    def describe(self) -> str:
        """Return the limit as a sum, for people."""
        each = f"{self.count} volumes of {format_size(self.length)}"
        return f"{format_size(self.limit)} (half of {each})"


NO_VOLUMES = Volumes()


def choose_run_tapes(size: int, volumes: Volumes) -> int:
    """Return how many volumes a run may take that is to write `size` bytes, 0: nobody knows."""
    if not size or not volumes.length:
        return volumes.most
    needed = -(-int(size * MARGIN) // volumes.length) + 1
    return min(needed, volumes.most)


def sum_sizes(plans: Iterable[Planned]) -> int:
    """Return the bytes of all of these before compression; 0 if one of them is not known."""
    sizes = [plan.whole_kilobytes * _KIB for plan in plans]
    return sum(sizes) if all(sizes) else 0


def count_whole(planned: Mapping[Key, Planned], learned: Collection[Key]) -> dict[Key, Planned]:
    """Return what is planned; of whom Amanda has no full yet, with the size before compression.

    Only a full shows how well a disk is compressed. Until then Amanda reckons with the half
    (`comprate` in amanda.conf(5)), and a disk of pictures would need twice the volumes.
    """
    return {
        dle: plan if dle in learned else replace(plan, kilobytes=plan.whole_kilobytes)
        for dle, plan in planned.items()
    }


def find_large(words: Iterable[DleVerdict], planned: Mapping[Key, Planned]) -> dict[str, int]:
    """Return the size in bytes, 0 if not known, of each disk of a client that was not held.

    `words` are about its dumps in one run. A full that was due, and for which there was no room,
    also counts where an incremental was made instead: that would go on forever.
    """
    found = {}
    for word in words:
        plan = planned.get((word.host, word.disk))
        if _is_large(word, plan):
            found[word.disk] = plan.kilobytes * _KIB if plan else 0
    return found


def _is_large(word: DleVerdict, plan: Planned | None) -> bool:
    if word.state.is_confirmed:
        return plan is not None and plan.level == 0 and bool(word.level)
    return is_of_room(word.reason)


def count_wasted(labels: int, words: Iterable[DleVerdict], volumes: Volumes) -> int:
    """Return how many of the `labels` volumes that a run wrote to have nothing of any use.

    `words` are about its own dumps: where one was cut, it has all volumes that the others do not
    need.
    """
    words = list(words)
    if not any(word.has_begun and not word.state.is_confirmed for word in words):
        return 0
    stored = sum(word.kilobytes for word in words if word.state is DumpState.STORED) * _KIB
    return max(labels - -(-stored // max(volumes.length, 1)), 0)


def refuse_waste(disk: str, wasted: int, volumes: Volumes) -> str:
    """Return why a disk does not go to volumes now, of which `wasted` were lately; "" if it may."""
    if not volumes.count or wasted < volumes.spare:
        return ""
    return (
        f"{disk} does not fit in the backup server's holding disk, and dumps that were cut have "
        f"used {wasted} of {volumes.count} volumes within {WASTED_WITHIN.days} days: so that none "
        "is overwritten that is needed, it goes to volumes when those are older; ask its "
        "administrator for more room in the holding disk, and use a line that lasts"
    )


def refuse_large(disk: str, size: int, volumes: Volumes) -> str:
    """Return why a disk cannot be backed up at all, with the sum; "" if it can."""
    if not volumes.limit or size <= volumes.limit:
        return ""
    return (
        f"{disk} needs {format_size(size)}, and the backup server can take {volumes.describe()} of "
        "one client at most; its administrator has to give it more room, or disks have to be split"
    )
