"""What the process that keeps heads is told on its stdin: one JSON object.

So that it need not ask the ledger, or Amanda, for what the dispatcher knows.
"""

import json
from dataclasses import asdict, dataclass
from typing import Any

from asyncamanda.core.amanda.filters import Filters
from asyncamanda.core.values.foreign import parse_json


@dataclass(frozen=True, slots=True)
class HeldDump:
    """A confirmed dump that is in the holding disk.

    `today` are the filters of its DLE, `recorded` those of when it was confirmed; None where they
    are not known.
    """

    host: str
    disk: str
    timestamp: str
    level: int
    today: Filters | None = None
    recorded: Filters | None = None


@dataclass(frozen=True, slots=True)
class KeepOrder:
    """Whose heads are to be kept. `held` are in order of their dates.

    `holding` are the holding disks, `room` is how many bytes all kept heads may have, and
    `allow_list` is as in allowed_filters().
    """

    amanda_config: str
    holding: tuple[str, ...]
    room: int
    allow_list: tuple[str, ...]
    held: tuple[HeldDump, ...]


def render_order(order: KeepOrder) -> str:
    """Return the order as JSON, in ASCII."""
    return json.dumps(asdict(order))


def parse_order(text: str) -> KeepOrder:
    """Return the order that render_order() has rendered. Raises ValueError."""
    said = parse_json(text)
    try:
        return KeepOrder(
            amanda_config=said["amanda_config"],
            holding=tuple(said["holding"]),
            room=int(said["room"]),
            allow_list=tuple(said["allow_list"]),
            held=tuple(_parse_held(**each) for each in said["held"]),
        )
    except (TypeError, KeyError) as error:
        raise ValueError(f"not an order: {error!r}") from error


def _parse_held(today: Any, recorded: Any, **name: Any) -> HeldDump:
    return HeldDump(
        today=Filters(**today) if today else None,
        recorded=Filters(**recorded) if recorded else None,
        **name,
    )
