"""What ./test, .ci/run and tools/ do as shell scripts: which parts, which legs, which sources."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pexpect
import pytest

from lab.patience import at_most

ROOT = Path(__file__).parents[2]
DEB822 = """\
Types: deb
# a comment in the midst
URIs: http://mirror.example.org/debian
Suites: bookworm bookworm-updates bookworm-backports
Components: main contrib
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: http://mirror.example.org/debian-security
Suites: bookworm-security
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: http://mirror.example.org/old
Suites: bookworm
Components: main
Enabled: no

Types: deb-src
URIs: http://mirror.example.org/debian
Suites: bookworm
Components: main
"""
FOREIGN = """\
Types: deb
URIs: https://packages.example.com/linux
Suites: bookworm
Components: main
Signed-By: /usr/share/keyrings/example.gpg
"""
ONE_LINE = """\
# deb http://mirror.example.org/none bookworm main
deb-src http://mirror.example.org/debian bookworm main
deb http://mirror.example.org/security bookworm-security main # the second
deb [arch=amd64] http://mirror.example.org/debian bookworm main contrib
deb http://packages.example.com/pg bookworm-pgdg main
deb https://packages.example.com/linux bookworm stable
"""
KEY = "[signed-by=/usr/share/keyrings/debian-archive-keyring.gpg]"


def translated(root: Path, files: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Return what tools/apt-sources says on a bookworm that has these files in etc/apt."""
    (root / "etc/apt/sources.list.d").mkdir(parents=True)
    (root / "etc/os-release").write_text('ID=debian\nVERSION_CODENAME="bookworm"\n')
    for name, text in files.items():
        (root / "etc/apt" / name).write_text(text)
    argv = [str(ROOT / "tools/apt-sources"), "trixie", f"{root}/"]
    return subprocess.run(argv, check=False, capture_output=True, text=True)


@pytest.mark.parametrize(
    ("files", "lines"),
    [
        (
            {"sources.list.d/debian.sources": DEB822, "sources.list.d/other.sources": FOREIGN},
            [
                f"deb {KEY} http://mirror.example.org/debian trixie main contrib",
                f"deb {KEY} http://mirror.example.org/debian-security trixie-security main",
                f"deb {KEY} http://mirror.example.org/debian trixie-updates main contrib",
            ],
        ),
        (
            {"sources.list": ONE_LINE, "sources.list.d/x.list.disabled": ONE_LINE},
            [
                "deb [arch=amd64] http://mirror.example.org/debian trixie main contrib",
                "deb http://mirror.example.org/security trixie-security main",
            ],
        ),
    ],
    ids=["deb822", "one line"],
)
def test_debians_own_sources_are_those_of_another_release(
    tmp_path: Path, files: dict[str, str], lines: list[str]
) -> None:
    """Both styles; the release itself first; nothing that is off, a source's or somebody else's."""
    done = translated(tmp_path, files)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == lines


def test_a_machine_without_debians_sources_is_told(tmp_path: Path) -> None:
    """There is nothing that a root could be made from."""
    done = translated(tmp_path, {"sources.list.d/other.sources": FOREIGN})
    assert done.returncode == 1
    assert done.stderr.startswith("apt-sources: none of Debian bookworm in ")


def test_every_part_of_the_core_is_there() -> None:
    """And every test of e2e that is not in it is left out for `./test all` only."""
    listed = re.search(r"^core=\(([^)]*)\)", (ROOT / "test").read_text("utf-8"), re.MULTILINE)
    assert listed
    names = listed[1].split()
    assert [name for name in names if not (ROOT / f"tests/e2e/test_{name}.py").exists()] == []
    assert {"main_job", "gate", "relay", "false_base", "side_by_side"} <= {*names}


def checkout(folder: Path, *names: str) -> Path:
    """Return a folder with these files, and nothing else."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, folder / name)
    return folder


def script(path: Path, body: str) -> None:
    """Write a shell script."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)


@pytest.mark.parametrize(
    ("words", "here", "there", "failed"),
    [
        ([], 0, 0, []),
        (["coverage"], 0, 0, []),
        ([], 1, 0, ["this machine (exit status 1)"]),
        (["coverage"], 1, 0, ["this machine (exit status 1)", "coverage (exit status 1)"]),
        ([], 0, 69, ["Debian 13 (exit status 69)"]),
        ([], 1, 1, ["this machine (exit status 1)", "Debian 13 (exit status 1)"]),
    ],
)
def test_ci_runs_all_legs_and_names_those_that_failed(
    tmp_path: Path, words: list[str], here: int, there: int, failed: list[str]
) -> None:
    """All here and the core on 13, even after a failure; skips are failures. Coverage if asked."""
    checkout(tmp_path, ".ci/run")
    script(tmp_path / "test", f'echo "test $* in $CI"; exit {here}')
    script(tmp_path / "tools/with-debian", f'echo "debian $* in $CI"; exit {there}')
    environ = {name: value for name, value in os.environ.items() if name != "CI"}
    argv = [str(tmp_path / ".ci/run"), *words]
    done = subprocess.run(argv, check=False, capture_output=True, text=True, env=environ)
    assert "test all in true\n" in done.stdout
    assert ("test coverage in true\n" in done.stdout) == (words == ["coverage"])
    assert "debian trixie ./test in true\n" in done.stdout
    assert done.returncode == bool(failed)
    assert re.findall(r"^== failed: (.*)$", done.stdout, re.MULTILINE) == failed


def test_no_root_of_debian_is_told_and_leaves_nothing(tmp_path: Path) -> None:
    """debootstrap's own last words, what that means, and a status of its own."""
    names = ("tools/with-debian", "tools/setup.sh", "tools/apt-sources")
    folder, rest = checkout(tmp_path / "checkout", *names), tmp_path / "rest"
    rest.mkdir()
    script(tmp_path / "bin/debootstrap", "echo E: no such mirror >&2; exit 1")
    script(tmp_path / "bin/dpkg-query", "echo install ok installed")
    environ = os.environ | {"PATH": f"{tmp_path}/bin:{os.environ['PATH']}", "TMPDIR": str(rest)}
    argv = [str(folder / "tools/with-debian"), "trixie", "true"]
    done = subprocess.run(argv, check=False, capture_output=True, text=True, env=environ)
    assert done.returncode == 69
    assert "E: no such mirror\n" in done.stderr
    assert "no root of Debian trixie could be made: debootstrap failed with " in done.stderr
    assert [*rest.iterdir()] == []


def test_what_takes_long_shows_on_a_terminal_for_how_long_by_now() -> None:
    """Second by second, and in the end how long it took; its status is the command's own."""
    script = ". tools/setup.sh; timed Doing read -r line; timed Failing false || echo gave $?"
    shell = pexpect.spawn(
        "bash", ["-euc", script], cwd=str(ROOT), timeout=at_most(30), encoding="utf-8"
    )
    for words in ("Doing\r\n", "\r  0 s", "\r  1 s"):
        shell.expect_exact(words)
    shell.send("\n")
    for words in ("\r  took ", " s\r\n", "Failing\r\n", "\r  took 0 s\r\n", "gave 1"):
        shell.expect_exact(words)
    shell.expect_exact(pexpect.EOF)
    shell.close()
    assert shell.exitstatus == 0


def test_where_there_is_no_terminal_only_what_is_done_is_said() -> None:
    """A log has one line for it."""
    script = ". tools/setup.sh; timed Doing true"
    done = subprocess.run(["bash", "-euc", script], check=True, capture_output=True, cwd=ROOT)
    assert (done.stdout, done.stderr) == (b"", b"Doing\n")
