"""One word, one thing: a class's name stands for one class of the package."""

import ast
import re
from collections import defaultdict
from pathlib import Path

SOURCE = Path(__file__).parents[2] / "src" / "asyncamanda"
TESTS = Path(__file__).parents[1]
SHARED: dict[str, str] = {}  # a name that several classes have: the reason
ALIASES = {
    ("now", "read_clock"): "`now` is what a time is called that was read",
    ("strategies", "st"): "hypothesis' own custom",
}


_CLASS = re.compile(r"^ *class ([A-Za-z]\w*)[^\n]*:", re.MULTILINE)
_AS = re.compile(r"^ *(?:from|import) .* as \w|^ +\w+ as \w+,?$", re.MULTILINE)


def find_classes() -> dict[str, list[str]]:
    """Return in which modules each name of a class is defined."""
    found = defaultdict(list)
    for path in sorted(SOURCE.rglob("*.py")):
        for name in _CLASS.findall(path.read_text("utf-8")):
            found[name].append(str(path.relative_to(SOURCE)))
    return found


def test_no_two_classes_have_one_name() -> None:
    """A reader, and a search, would take one for the other."""
    found = find_classes()
    assert "Queue" in found
    twice = {name: places for name, places in found.items() if len(places) > 1}
    assert twice.keys() == SHARED.keys(), twice


def find_aliases(path: Path) -> list[str]:
    """Return the imports of a file by a name that does not say what is imported."""
    text = path.read_text("utf-8")
    if not _AS.search(text):  # a file is parsed in 3 ms, and there are many
        return []
    return [
        f"{path.name}:{node.lineno}: {alias.name} as {alias.asname}"
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
        if alias.asname and alias.name not in alias.asname
        and (alias.name, alias.asname) not in ALIASES
    ]  # fmt: skip


def test_an_alias_has_the_name_in_it() -> None:
    """Such as `relay as relay_module`; another word would hide what it is from a search."""
    paths = [*SOURCE.rglob("*.py"), *TESTS.rglob("*.py")]
    assert SOURCE / "cli.py" in paths
    assert [found for path in paths for found in find_aliases(path)] == []


def test_an_alias_by_another_word_is_found(tmp_path: Path) -> None:
    """So that the test above can fail."""
    lines = "from a import ipc as switchboard, b as b_module\nfrom c import (\n    d as e,\n)\n"
    (tmp_path / "bad.py").write_text(lines, "utf-8")
    found = ["bad.py:1: ipc as switchboard", "bad.py:2: d as e"]
    assert find_aliases(tmp_path / "bad.py") == found
