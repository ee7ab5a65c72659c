"""JSON that somebody else has written: of whatever it is made, it is a value or a ValueError."""

import json
from collections.abc import Callable
from typing import Any, NoReturn

MOST_NESTED = "it is nested too deeply"


def parse_json(text: str | bytes, *, constant: Callable[[str], NoReturn] | None = None) -> Any:
    """Return the value that `text` is. Raises ValueError if it is none, however deep it goes.

    `constant` is given NaN and the infinities, which JSON does not have, and raises.
    """
    try:
        return json.loads(text, parse_constant=constant)
    except RecursionError:
        raise ValueError(MOST_NESTED) from None
