"""`asyncamanda server page`, by an account of its own that no client is enrolled for."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src"
NOBODY = 65534


@pytest.fixture
def folder() -> Iterator[Path]:
    """Return a folder of nobody's, and root's server.toml in it, which names it."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as made:
        place = Path(made)
        os.chown(place, NOBODY, -1)
        place.chmod(0o755)
        lines = ('user = "nobody"', f'ledger = "{place}/none"', "[page]", f'folder = "{place}"')
        (place / "server.toml").write_text("\n".join(lines))
        yield place


def page(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run the command with that configuration."""
    config = str(folder / "server.toml")
    return subprocess.run(
        [sys.executable, "-m", "asyncamanda", "server", "page", *words, "--config", config],
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
    )


def test_it_says_where_the_page_is_and_what_has_changed(folder: Path) -> None:
    """By default where server.toml keeps it; the page is the Amanda user's."""
    index = folder / "index.html"
    done = page(folder)
    assert (done.returncode, done.stdout) == (0, f"{index}: 0 clients, 1 file written\n")
    assert index.stat().st_uid == NOBODY
    assert "there is no ledger yet" in index.read_text("utf-8")
    assert page(folder).stdout == f"{index}: 0 clients, unchanged\n"
    value = {"page": str(index), "clients": 0, "written": 0, "removed": 0}
    assert json.loads(page(folder, "--json").stdout) == value


def test_another_folder_can_be_named_and_has_to_be_there(folder: Path) -> None:
    """As a path from here, with what makes it."""
    done = page(folder, "--to", "elsewhere")
    assert done.returncode == 77
    assert f"written into {folder}/elsewhere: No such file or directory" in done.stderr
    assert f"as root: install -d -o nobody -m 755 {folder}/elsewhere" in done.stderr
    (folder / "elsewhere").mkdir()
    os.chown(folder / "elsewhere", NOBODY, -1)
    assert page(folder, "--to", "elsewhere").returncode == 0
    assert (folder / "elsewhere/index.html").exists()
    assert not (folder / "index.html").exists()


def test_nowhere_is_no_place(folder: Path) -> None:
    """It is a mistake of the command line's, with both ways to say it."""
    (folder / "server.toml").write_text('user = "nobody"\n')
    done = page(folder)
    assert done.returncode == 64
    assert "--to names a folder; so does `folder` below [page] in server.toml" in done.stderr
