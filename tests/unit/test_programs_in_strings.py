"""Programs that tests and benchmarks have in strings import what there is.

No type checker reads them, and a benchmark is run by hand: it was found broken long after a move.
"""

import ast
import re
from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
IMPORT = re.compile(r"from (asyncamanda[\w.]*) import (\([^)]*\)|[^\n;]+)")


def find_imports(path: Path) -> Iterator[tuple[str, str]]:
    """Yield each (module, name) that a program in a string of a file imports."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            for module, names in IMPORT.findall(node.value):
                for name in names.strip("()").split(","):
                    if word := name.split(" as ")[0].strip():
                        yield module, word


def is_there(module: str, name: str) -> bool:
    """Return whether the package has that."""
    try:
        found = import_module(module)
        return hasattr(found, name) or find_spec(f"{module}.{name}") is not None
    except ImportError:
        return False


@pytest.mark.parametrize("path", sorted(TESTS.rglob("*.py")), ids=lambda path: str(path.name))
def test_what_a_program_in_a_string_imports_is_there(path: Path) -> None:
    """Whatever was moved since."""
    assert [found for found in find_imports(path) if not is_there(*found)] == []


def test_what_is_not_there_is_found(tmp_path: Path) -> None:
    """So that the test above can fail."""
    package = "asyncamanda"
    lines = [
        f"from {package}.errors import (",
        "    Exit, Nothing)",
        f"from {package}.nowhere import x",
    ]
    program = "\n".join(lines)
    (tmp_path / "bad.py").write_text(f'P = """{program}"""\n', "utf-8")
    wrong = [found for found in find_imports(tmp_path / "bad.py") if not is_there(*found)]
    assert wrong == [("asyncamanda.errors", "Nothing"), ("asyncamanda.nowhere", "x")]
