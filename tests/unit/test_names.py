"""One word, one thing: a class's name stands for one class of the package."""

import ast
from collections import defaultdict
from pathlib import Path

SOURCE = Path(__file__).parents[2] / "src" / "asyncamanda"
SHARED: dict[str, str] = {}  # a name that several classes have: the reason


def find_classes() -> dict[str, list[str]]:
    """Return in which modules each name of a class is defined."""
    found = defaultdict(list)
    for path in sorted(SOURCE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                found[node.name].append(str(path.relative_to(SOURCE)))
    return found


def test_no_two_classes_have_one_name() -> None:
    """A reader, and a search, would take one for the other."""
    found = find_classes()
    assert "Queue" in found
    twice = {name: places for name, places in found.items() if len(places) > 1}
    assert twice.keys() == SHARED.keys(), twice
