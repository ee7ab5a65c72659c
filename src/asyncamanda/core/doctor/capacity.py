"""What a server has room for, and what in its configuration stands in the way of our runs.

Runs use no volume: so what Amanda only does with one, or waits for, is found beforehand.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from asyncamanda.core.amanda.amcheck import Trouble
from asyncamanda.core.amanda.config import AmandaConfig, to_kib
from asyncamanda.core.amanda.disklist import Dle
from asyncamanda.core.amanda.volumes import Volumes
from asyncamanda.core.doctor.findings import Check, Health
from asyncamanda.core.values.size import format_size

CAPACITY = "capacity"
_HINDRANCES = {"hold", "starttime"}  # for which clients are put off


@dataclass(frozen=True, slots=True)
class Server:
    """An Amanda configuration by what it says, its hold file, and the holding disk's room in bytes.

    `hold` is where that file is; "" where there is none, which is as it should be.
    """

    config: AmandaConfig
    holding: int
    hold: str = ""


def describe_capacity(holding: int, volumes: Volumes) -> str:
    """Return what one disk may have at most, and what the holding disk takes, for people."""
    held = f"the holding disk takes {format_size(holding)}; what is larger goes straight to volumes"
    if not volumes.limit:
        return held
    return f"{held}; a disk may have {volumes.describe()} at most"


def judge_capacity(server: Server, dles: Sequence[Dle]) -> Check:
    """Return what can be backed up of a client, and what makes that difficult; `dles` are its."""
    found = dict(_find_troubles(server, dles))
    health = Health.OK
    if found:
        health = Health.BAD if _HINDRANCES & found.keys() else Health.WARNING
    said = describe_capacity(server.holding, server.config.find_volumes())
    return Check(CAPACITY, health, said, troubles=tuple(found.values()), is_partial=True)


def _find_troubles(server: Server, dles: Sequence[Dle]) -> Iterator[tuple[str, Trouble]]:
    """Yield each trouble by its kind."""
    config, meant = server.config, [dle for dle in dles if not dle.is_parked]
    if server.hold:
        yield (
            "hold",
            Trouble(
                f"{server.hold} exists",
                "Amanda begins no run as long as it does, so clients are put off",
                f"rm {server.hold}",
            ),
        )
    if late := [dle for dle in meant if dle.starttime]:
        times = ", ".join(f"{dle.disk} {dle.starttime:%H:%M}" for dle in late)
        yield (
            "starttime",
            Trouble(
                f"starttime: {times}",
                "Amanda waits for that time of day, so the client is put off until then",
                "take `starttime` out of the dumptype; a client says itself when it may be "
                "backed up (`[when]` in client.toml)",
            ),
        )
    if never := [dle.disk for dle in meant if dle.is_never_held]:
        yield (
            "never",
            Trouble(
                f"holdingdisk never: {', '.join(never)}",
                "each dump of it needs a run of its own, and a volume",
                "take `holdingdisk never` out of the dumptype",
            ),
        )
    if reserved := to_kib(config.value("RESERVE")):
        yield (
            "reserve",
            Trouble(
                f"reserve {reserved}",
                f"of the holding disk {reserved} % are kept for incrementals, so that fulls go "
                "straight to volumes, each in a run of its own",
                "set `reserve 0` in amanda.conf",
            ),
        )
    cycle, slots = config.find_volumes().count, config.count_slots()
    if 0 < slots < cycle:
        yield (
            "slots",
            Trouble(
                f"tapecycle {cycle}, and {slots} volumes",
                f"Amanda overwrites none before it has {cycle}: when these are full, nothing can "
                "be written any more",
                f"set `num-slot` to {cycle} at least, or a smaller `tapecycle`",
            ),
        )
