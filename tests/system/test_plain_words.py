"""What people read is in plain words, which tools/plain-words sees to."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

TOOL = Path(__file__).parents[2] / "tools/plain-words"


def check(*paths: Path) -> subprocess.CompletedProcess[str]:
    """Run the tool on `paths`, or on the project."""
    argv = [sys.executable, str(TOOL), *map(str, paths)]
    return subprocess.run(argv, capture_output=True, text=True, check=False)


def test_the_project_is_in_plain_words() -> None:
    """Each message, help text and page."""
    done = check()
    assert (done.stderr, done.returncode) == ("", 0)


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ('HELP = "let a client in no more"', "let a client in"),
        ('raise ValueError(f"{name} is of no use: {why}")', "of no use"),
        ('TOML = """\n# tried anew\n"""', "anew"),
        ('HINT = "mend it, and "\\\n    "start the same again"', "mend"),
        ('LAST = (\n    "the last try came "\n    "to nothing"\n)', "came to nothing"),
    ],
)
def test_a_string_in_other_words_is_refused(tmp_path: Path, source: str, words: str) -> None:
    """Also within a placeholder's neighbours, a template, or a string that is in two pieces."""
    (tmp_path / "bad.py").write_text(source, "utf-8")
    done = check(tmp_path / "bad.py")
    assert done.returncode == 1
    assert done.stderr.startswith(f"{tmp_path}/bad.py:")
    assert f": {words!r}: rather " in done.stderr


def test_its_line_is_named(tmp_path: Path) -> None:
    """In a template, and in a page, where the words may be broken over two lines."""
    (tmp_path / "bad.py").write_text('\n\nTOML = """\n# tried anew\n"""\n', "utf-8")
    (tmp_path / "bad.md").write_text("# A page\n\nA try that came\nto nothing.\n", "utf-8")
    done = check(tmp_path / "bad.py", tmp_path / "bad.md")
    named = [line.removeprefix(f"{tmp_path}/").split(": ")[0] for line in done.stderr.splitlines()]
    assert named == ["bad.py:4", "bad.md:3"]


@pytest.mark.parametrize(
    ("source", "named"),
    [
        ('"""Fix it.\n\nA line that is made\n  anew."""\n', "bad.py:4"),
        ('def f():\n    """Lend it."""\n', "bad.py:2"),
        ("class A:\n    x = 1  # not for ever\n", "bad.py:2"),
    ],
)
def test_a_docstring_or_comment_in_other_words_is_refused(
    tmp_path: Path, source: str, named: str
) -> None:
    """Of a module, a function or a class, wherever in it."""
    (tmp_path / "bad.py").write_text(source, "utf-8")
    done = check(tmp_path / "bad.py")
    assert (done.stderr.removeprefix(f"{tmp_path}/").split(": ")[0], done.returncode) == (named, 1)


def test_what_nobody_reads_is_left_alone(tmp_path: Path) -> None:
    """Names, values of enums, names of errors."""
    source = '"""Fix it."""\n\nmend = {"unasked": "fix it"}\nNAME = "enrolled-anew"\n'
    (tmp_path / "good.py").write_text(source, "utf-8")
    (tmp_path / "good.md").write_text("How to fix it is in `unasked`.\n", "utf-8")
    done = check(tmp_path / "good.py", tmp_path / "good.md")
    assert (done.stderr, done.returncode) == ("", 0)
