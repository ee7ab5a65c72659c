"""What the process that makes scheduled drills is told on its stdin: one JSON object."""

import json
from dataclasses import asdict, dataclass

from asyncamanda.core.values.foreign import parse_json


@dataclass(frozen=True, slots=True)
class DrillOrder:
    """Whose disks are meant, and how often; as in ReachOrder and in DrillPolicy, in seconds."""

    amanda_config: str
    user: str
    ledger: str
    allow_list: tuple[str, ...]
    every: float
    full_every: float
    sample: int


def render_drill_order(order: DrillOrder) -> str:
    """Return the order as JSON, in ASCII."""
    return json.dumps(asdict(order))


def parse_drill_order(text: str) -> DrillOrder:
    """Return the order that render_drill_order() has rendered. Raises ValueError."""
    said = parse_json(text)
    try:
        return DrillOrder(
            amanda_config=said["amanda_config"],
            user=said["user"],
            ledger=said["ledger"],
            allow_list=tuple(said["allow_list"]),
            every=float(said["every"]),
            full_every=float(said["full_every"]),
            sample=int(said["sample"]),
        )
    except (TypeError, KeyError) as error:
        raise ValueError(f"not an order: {error!r}") from error
