"""What the process that finds how far back backups go is told on its stdin: one JSON object.

The dispatcher has read server.toml, perhaps not the usual one; a database's URL has a secret.
"""

import json
from dataclasses import asdict, dataclass

from asyncamanda.core.values.foreign import parse_json


@dataclass(frozen=True, slots=True)
class ReachOrder:
    """Whose backups are meant: all clients of that configuration whose keys `user` admits.

    `ledger` is as in server.toml, and `allow_list` as in allowed_filters().
    """

    amanda_config: str
    user: str
    ledger: str
    allow_list: tuple[str, ...]


def render_reach_order(order: ReachOrder) -> str:
    """Return the order as JSON, in ASCII."""
    return json.dumps(asdict(order))


def parse_reach_order(text: str) -> ReachOrder:
    """Return the order that render_reach_order() has rendered. Raises ValueError."""
    said = parse_json(text)
    try:
        return ReachOrder(
            amanda_config=said["amanda_config"],
            user=said["user"],
            ledger=said["ledger"],
            allow_list=tuple(said["allow_list"]),
        )
    except (TypeError, KeyError) as error:
        raise ValueError(f"not an order: {error!r}") from error
