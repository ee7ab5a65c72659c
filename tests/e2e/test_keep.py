"""Heads are kept: of what a run has dumped, until Amanda has the dump nowhere any more."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e.back import TO
from tests.e2e.dumps import add_dumptype
from tests.e2e.laptop import wait_until
from tests.e2e.office import DISK, STATE, Office, open_office
from tests.e2e.trees import read_tree

PACKED = "/srv/packed"
PYTHON = "/opt/asyncamanda/bin/python"

# what is kept, by disk: the level, how many names, and how many files of which it has the place
KEPT = """
import json
from asyncamanda.server.restore.heads import HeadStore
store, kept = HeadStore("daily"), {}
for each in store.list_stored():
    dump = each.dump
    head = store.find(dump.host, dump.disk, dump.timestamp, dump.level)
    names = sum(1 for _ in head.walk())
    kept.setdefault(dump.disk, []).append([dump.level, names, head.index.files])
print(json.dumps(kept))
"""


def read_kept(office: Office) -> dict[str, list[list[int]]]:
    """Return of each disk's kept heads the level, names, and files that it has the place of."""
    argv = [PYTHON, "-I", "-c", KEPT]
    return dict(json.loads(office.server.run(argv, user="backup").stdout))


@pytest.fixture
def office(lab_prefix: Path) -> Iterator[Office]:
    """Yield an office whose laptop has two disks; one of them is packed by gzip."""
    with open_office(lab_prefix) as opened:
        add_dumptype(opened.server, "packed", "roaming", "compress client fast")
        opened.fill()
        opened.client("laptop").add_tree(PACKED, files=5, bytes_each=100_000)
        opened.server.add_dle("laptop", PACKED, "packed")
        opened.set_up()
        yield opened


def test_heads_are_kept_from_the_run_to_the_volumes_end(office: Office) -> None:
    """By themselves, soon after each run; lists and files come of them; and they go in the end."""
    assert office.backup("laptop").returncode == 0, office.diary
    first = {DISK: [[0, 3, 3]], PACKED: [[0, 5, 5]]}
    wait_until("both heads are kept", lambda: read_kept(office) == first)
    office.client("laptop").run(["cp", f"{PACKED}/file-1", f"{PACKED}/new"])
    assert office.backup("laptop", "--force").returncode == 0, office.diary
    second = {DISK: [[0, 3, 3], [1, 3, 0]], PACKED: [[0, 5, 5], [1, 6, 1]]}
    wait_until("the next ones are, too", lambda: read_kept(office) == second)
    office.ask("server", "flush", "daily")
    wait_until("all is on a volume", lambda: office.held() == set())
    office.wait_idle()
    listed = office.ask("server", "list", "laptop", PACKED, "-0").stdout.split("\0")
    assert {*listed} - {""} == {f"{PACKED}/{name}" for name in ("new", *_files(5))}
    office.ask("server", "restore", "laptop", PACKED, "--to", TO)
    restored = read_tree(office.server.path(f"{TO}/packed"))
    assert restored == read_tree(office.client("laptop").path(PACKED))
    assert read_kept(office) == second
    for label in office.volumes():
        office.server.amanda("amrmtape", "--keep-label", "daily", label)
    office.client("laptop").run(["cp", f"{DISK}/file-1", f"{DISK}/new"])
    assert office.backup("laptop", "--force").returncode == 0, office.diary
    wait_until(
        "nothing is kept of what is gone",
        lambda: all(len(heads) == 1 for heads in read_kept(office).values()),
    )
    assert office.server.read(f"{STATE}/keep.log") == ""


def _files(count: int) -> list[str]:
    return [f"file-{number}" for number in range(count)]
