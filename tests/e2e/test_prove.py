"""A laptop proves that its files come back, with real Amanda; and finds out where they do not.

Its files count as unchanged only a while before the dump, so all clocks say that it is later.
"""

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.dumps import add_dumptype
from tests.e2e.laptop import Run, ask, ask_json, wait_until
from tests.e2e.office import HOLDING, STATE, Office, open_office

from lab import Client

DISKS = {"/srv/docs": "roaming", "/srv/d 3": "roaming-amgtar"}
LATER = timedelta(minutes=20)
_PROOFS = """
import json, sqlite3, sys
ledger = sqlite3.connect(sys.argv[1])
columns = "host, disk, kind, is_good, timestamp, what"
rows = ledger.execute("select " + columns + " from proofs order by id")
print(json.dumps([*rows]))
"""


@pytest.fixture
def office(lab_prefix: Path) -> Iterator[Office]:
    """Yield an office whose laptop was backed up a while after its files were made."""
    with open_office(lab_prefix) as opened:
        laptop = opened.client("laptop")
        for disk, dumptype in DISKS.items():
            laptop.add_tree(disk, files=2)
            laptop.make_directory(f"{disk}/below/.cache")
            for name in ("below/sparse", "below/.cache/left out"):
                with laptop.path(f"{disk}/{name}").open("wb") as file:
                    file.truncate(300_000)
                    file.seek(200_000)
                    file.write(b"in the middle")
            add_dumptype(
                opened.server, f"some-{dumptype}", dumptype, 'exclude file append ".cache"'
            )
            opened.server.add_dle("laptop", disk, f"some-{dumptype}")
        opened.set_up()
        opened.shift_clocks(LATER)
        run = opened.backup("laptop", "--force")
        assert run.returncode == 0, run.stderr + opened.diary
        yield opened


def prove(office: Office, *words: str) -> Run:
    """Let the laptop prove its disks."""
    return ask(office.client("laptop"), "prove", *words)


def proofs(office: Office) -> list[Any]:
    """Return the client's proofs in the ledger, oldest first: host, disk, kind, was it good ..."""
    found = office.server.run(["python3", "-c", _PROOFS, f"{STATE}/ledger.sqlite"], user="backup")
    return [row for row in json.loads(found.stdout) if row[2] == "client"]


def flip(laptop: Client, server_path: Path, disk: str) -> str:
    """Change a byte of a file in the dump of a disk that is held; return the file's name here."""
    name = f"{disk}/file-1"
    contents = laptop.path(name).read_bytes()
    for dump in server_path.glob("*/laptop.*"):
        whole = dump.read_bytes()
        at = whole.find(contents)
        if at >= 0:
            at += len(contents) // 2
            dump.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
            return name
    raise AssertionError(f"{name} is in no dump")


def levels(office: Office, disk: str) -> list[int | None]:
    """Return the levels of the dumps of one of the disks, oldest first."""
    return [v.level for log in office.dumps() for v in log.verdicts if v.disk == disk]


def test_a_proof_is_made_shown_and_told_and_a_damaged_dump_found_out(office: Office) -> None:
    """By way of the gate, out of a held dump; a full is forced, which is whole again."""
    laptop = office.client("laptop")
    done = prove(office, "--json")
    assert done.returncode == 0, done.stdout + done.stderr + office.diary
    found = {disk["disk"]: disk for disk in json.loads(done.stdout)["disks"]}
    assert {name: disk["files"] for name, disk in found.items()} == dict.fromkeys(DISKS, 3), found
    assert "last proved restorable: " in ask(laptop, "status").stdout
    (stamp,) = [log.timestamp for log in office.dumps()]
    assert [row[:5] for row in sorted(proofs(office))] == [
        ["laptop", disk, "client", 1, stamp] for disk in sorted(DISKS)
    ]
    assert "proof" not in bad(laptop)

    name = flip(laptop, Path(office.server.path(HOLDING)), "/srv/docs")
    done = prove(office)
    assert done.returncode == 100, done.stdout + done.stderr
    fault = f"{name}: it came back with other contents"
    assert fault in " ".join(done.stdout.split())
    assert "proof of /srv/docs FAILED" in ask(laptop, "status").stdout
    assert "proof" in bad(laptop)
    (row,) = [row for row in proofs(office) if not row[3]]
    assert row[1:3] == ["/srv/docs", "client"]
    assert row[5] == fault
    words = f"could not prove that /srv/docs can be restored: {fault}; a full dump of it is forced"
    assert words in office.diary

    run = office.backup("laptop", "--force")
    assert run.returncode == 0, run.stderr + office.diary
    assert levels(office, "/srv/docs") == [0, 0]
    assert levels(office, "/srv/d 3") == [0, 1]
    office.shift_clocks(2 * LATER)
    done = prove(office)
    assert done.returncode == 0, done.stdout + done.stderr
    wait_until("the server was told", lambda: proofs(office)[-1][3])


def bad(laptop: Client) -> list[str]:
    """Return the checks of the doctor that find something wrong."""
    found = ask_json(laptop, "doctor")
    return [check["check"] for check in found["checks"] if check["health"] == "bad"]
