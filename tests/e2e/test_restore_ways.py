"""The ways in which a person at a client lists files and has them back, and what they are told."""

import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e.back import TO, restore, restored
from tests.e2e.laptop import ASYNCAMANDA, Run
from tests.e2e.office import DISK, Office, open_office
from tests.e2e.trees import read_tree

from lab import Client

NOTE, SECOND = f"{DISK}/letters/note.txt", f"{DISK}/second.txt"


@pytest.fixture(scope="module")  # no test needs more than the two dumps
def office(lab_prefix: Path) -> Iterator[Office]:
    """Yield an office whose laptop has two versions of a note dumped, and changed it since."""
    with open_office(lab_prefix) as opened:
        laptop = opened.client("laptop")
        opened.fill()
        opened.set_up(direct=["laptop"])
        for text in ("first\n", "second, and longer\n"):
            laptop.write(NOTE, text)
            laptop.write(SECOND, text, mode=0o600)
            dump(opened)
        laptop.write(NOTE, "not dumped yet\n")
        yield opened


def dump(office: Office) -> None:
    """Let the laptop have itself backed up."""
    done = office.backup("laptop", "--force")
    assert done.returncode == 0, done.stderr + office.diary


def ask(client: Client, *words: str, cwd: str = "/") -> Run:
    """Run asyncamanda in a folder of the client's."""
    script = 'cd "$1" && shift && exec "$@"'
    argv = ["sh", "-c", script, "sh", cwd, ASYNCAMANDA, *words]
    return client.run(argv, check=False)


def names(done: Run) -> list[str]:
    """Return the names in what `list -0` printed."""
    assert done.returncode == 0, done
    return [name for name in done.stdout.split("\0") if name]


def test_a_deleted_file_comes_back_by_one_line(office: Office) -> None:
    """In its place, as it was; what is there already stays unless one says otherwise."""
    laptop = office.client("laptop")
    before = read_tree(laptop.path(DISK))
    laptop.remove(SECOND)
    done = ask(laptop, "restore", "second.txt", "--in-place", cwd=DISK)
    assert done.returncode == 0, done
    after = read_tree(laptop.path(DISK))
    assert after["second.txt"] == before["second.txt"]
    assert after.keys() == before.keys()

    for overwrite, text in (
        ("never", "not dumped yet\n"),
        ("newer", "not dumped yet\n"),
        ("always", "second, and longer\n"),
    ):
        ask(laptop, "restore", NOTE, "--in-place", "--overwrite", overwrite)
        assert laptop.read(NOTE) == text, overwrite
    laptop.remove(NOTE)
    laptop.make_directory(NOTE)
    done = ask(laptop, "restore", NOTE, "--in-place", "--overwrite", "always")
    assert done.returncode == 100, done
    assert laptop.path(NOTE).is_dir()
    laptop.remove(NOTE)
    laptop.write(NOTE, "not dumped yet\n")


def test_without_a_place_it_makes_a_folder_of_its_own(office: Office) -> None:
    """For nobody else, never one that is there already; `--dry-run` makes none."""
    laptop = office.client("laptop")
    laptop.make_directory("/srv/here")
    done = ask(laptop, "restore", NOTE, "--dry-run", cwd="/srv/here")
    assert done.returncode == 0, done
    assert [*laptop.path("/srv/here").iterdir()] == []
    for number in (1, 2):
        done = ask(laptop, "restore", NOTE, cwd="/srv/here")
        assert done.returncode == 0, done
        made = [*laptop.path("/srv/here").glob("restored-laptop-*")]
        assert len(made) == number
    assert {path.stat().st_mode & 0o777 for path in made} == {0o700}
    assert all(str(Path("/srv/here") / path.name) in done.stdout + done.stderr for path in made[:1])
    assert laptop.path(TO).exists() is False


def test_what_is_not_there_is_said_with_names_that_are_like_it(office: Office) -> None:
    """Nothing matched: 65, and never `done`. One of two: it comes, and the other is named; 100."""
    laptop = office.client("laptop")
    done = restore(laptop, f"{DISK}/secund.txt")
    assert done.returncode == 65, done
    assert SECOND in done.stdout + done.stderr
    assert not laptop.path(TO).exists()
    done = restore(laptop, SECOND, f"{DISK}/gone.txt")
    assert done.returncode == 100, done
    assert f"{DISK}/gone.txt" in done.stdout + done.stderr
    assert [*read_tree(laptop.path(TO))] == [".", "second.txt"]
    done = restore(laptop, "/etc/passwd")
    assert done.returncode == 65, done
    for wrong in (
        ["--at", "last tuesday of never"],
        ["--overwrite", "always"],
        ["--to", "/x", "--in-place"],
    ):
        assert ask(laptop, "restore", NOTE, *wrong).returncode == 64, wrong


def test_what_no_dump_can_have_is_named_and_the_rest_comes(office: Office) -> None:
    """A socket stands in the list of its folder, but tar never stores one."""
    laptop = office.client("laptop")
    wanted = read_tree(laptop.path(DISK))
    with socket.socket(socket.AF_UNIX) as plug:
        folder = os.open(laptop.path(DISK), os.O_PATH)
        plug.bind(f"/proc/self/fd/{folder}/plug")
        os.close(folder)
    dump(office)
    laptop.remove(f"{DISK}/plug")
    done = restore(laptop, DISK)
    assert done.returncode == 100, done
    assert f"{DISK}/plug" in done.stdout + done.stderr
    got = restored(laptop, DISK)
    assert {path: got[path] for path in wanted if path != "."} == {
        path: entry for path, entry in wanted.items() if path != "."
    }


def test_the_list_shows_folders_versions_and_what_can_be_had(office: Office) -> None:
    """By absolute and relative paths, with or without a slash at the end; by date and by name."""
    laptop = office.client("laptop")
    first, second, *_ = (log.timestamp for log in office.dumps())
    assert first
    assert second
    top = {f"{DISK}/{name}" for name in ("file-0", "file-1", "file-2", "letters", "second.txt")}
    for path, cwd in ((DISK, "/"), (f"{DISK}/", "/"), (".", DISK), ("docs", "/srv")):
        listed = names(ask(laptop, "list", path, "-0", "--at", second, cwd=cwd))
        assert {os.path.normpath(Path(cwd, name)) for name in listed} == top
    assert names(ask(laptop, "list", DISK, "--find", "NOTE*", "-0")) == []
    assert names(ask(laptop, "list", DISK, "--find", "note*", "-0")) == [NOTE]
    versions = json.loads(ask(laptop, "list", NOTE, "--versions", "--json").stdout)["versions"]
    assert [(each["run"], each["size"]) for each in versions][-2:] == [(second, 19), (first, 6)]
    for run, text in ((first, "first\n"), (second, "second, and longer\n")):
        done = restore(laptop, NOTE, "--at", run)
        assert done.returncode == 0, done
        assert laptop.read(f"{TO}/note.txt") == text
    overview = ask(laptop, "list")
    assert overview.returncode == 0
    assert DISK in overview.stdout
    assert ask(laptop, "list", "/etc").returncode == 65
