"""Commands that people are told to type: as they stand, as root of a bare Debian."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import asyncamanda
from asyncamanda.core.values.shellwords import as_user

SOURCE = Path(asyncamanda.__file__).parent
# where sudo is typed anyway: with --via, as an administrator who is not root there
SUDO = {("core/ssh/enrolling.py", "sudo")}
# what names these, and is not to be typed
AMANDAS = {("server/enrol/own_checks.py", "`amcheck -s ")}
_AMANDAS = re.compile(r"\bamcheck -|\bamadmin CONFIG |\bamadmin $")
_WORDS = {"as_user", "as_own_user"}  # of a command that is for the Amanda user


def read_texts() -> Iterator[tuple[str, str]]:
    """Yield the file and the text of each string, but of docstrings and what is for as_user()."""
    for path in sorted(SOURCE.rglob("*.py")):
        yield from ((path.relative_to(SOURCE).as_posix(), text) for text in _find_texts(path))


def _find_texts(path: Path) -> Iterator[str]:
    nodes: list[ast.AST] = [ast.parse(path.read_text("utf-8"))]
    while nodes:
        node = nodes.pop()
        is_doc = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        if is_doc or (isinstance(node, ast.Call) and getattr(node.func, "id", "") in _WORDS):
            continue
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
        nodes += ast.iter_child_nodes(node)


def test_nobody_is_told_to_use_sudo() -> None:
    """Debian does not install it where root has a password; who has it knows how to be root."""
    assert {found for found in read_texts() if re.search(r"\bsudo\b", found[1])} == SUDO


def test_what_the_amanda_user_runs_can_be_typed_by_root() -> None:
    """The account has no shell, and Amanda's programs refuse to run as another."""
    assert as_user("backup", "amcheck -s x") == "as root: runuser -u backup -- amcheck -s x"
    assert {found for found in read_texts() if _AMANDAS.search(found[1])} == AMANDAS
    assert not [found for found in read_texts() if "as the Amanda user: " in found[1]]
