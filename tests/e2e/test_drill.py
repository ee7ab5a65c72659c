"""Drills of real dumps: in the holding disk, on volumes and between them, packed and sealed."""

import json
import re
from pathlib import Path
from typing import Any

from tests.e2e.back import DISKS, Past
from tests.e2e.dumps import add_dumptype
from tests.e2e.laptop import ASYNCAMANDA, wait_until
from tests.e2e.office import STATE, Office, open_office

SEALED = "/srv/sealed"
SEAL = "/usr/local/bin/seal"
OFTEN = {"every": "1m", "full_every": "1m"}  # so that all disks have their turn after the first run
DOCS = "/srv/docs"


def drill(office: Office, *words: str) -> tuple[int, dict[str, dict[str, Any]]]:
    """Let the laptop's disks be drilled; return the exit code, and what was found by disk."""
    done = office.ask("server", "drill", "laptop", "--json", *words, check=False)
    assert done.returncode in {0, 100}, done
    return done.returncode, {each["disk"]: each for each in json.loads(done.stdout)}


def proofs(office: Office) -> dict[str, dict[str, Any]]:
    """Return what `server clients` says of the proofs of the laptop's disks."""
    (client,) = json.loads(office.ask("server", "clients", "--json").stdout)
    return {each["disk"]: each for each in client["proofs"]}


def say(office: Office) -> str:
    """Return what the laptop's status says."""
    done = office.client("laptop").run([ASYNCAMANDA, "status"], check=False)
    return " ".join(done.stdout.split())


def flip(part: Path) -> None:
    """Change a bit near the end of a part."""
    with part.open("r+b") as file:
        file.seek(-1000, 2)
        (byte,) = file.read(1)
        file.seek(-1000, 2)
        file.write(bytes([byte ^ 1]))


def prepare(office: Office) -> None:
    """Let the laptop have disks of all kinds, and one that it seals."""
    past = Past(office)
    past.set_up()
    client = office.client("laptop")
    client.write(SEAL, "#!/bin/sh\nexec tr a-z n-za-m\n", mode=0o755)
    add_dumptype(office.server, "sealed", "roaming", "encrypt client", f'client-encrypt "{SEAL}"')
    client.add_tree(SEALED, files=3, bytes_each=40_000)
    office.server.add_dle("laptop", SEALED, "sealed")
    office.configure(drill=OFTEN)


def test_all_that_is_dumped_is_proved_and_what_is_damaged_is_told_and_dumped_anew(
    lab_prefix: Path,
) -> None:
    """By itself after a run; by hand while a flush goes on; and then a byte is flipped."""
    with open_office(lab_prefix) as office:
        prepare(office)
        client, every = office.client("laptop"), {*DISKS, SEALED}
        for disk in DISKS:
            client.add_tree(disk, files=4, bytes_each=600_000)
        assert office.backup("laptop").returncode == 0, office.diary
        try:
            wait_until("all are drilled", lambda: {*proofs(office)} == every, 60)
        except AssertionError as error:
            diary = office.server.path(f"{STATE}/drill.log")
            said = diary.read_text("utf-8") if diary.exists() else ""
            raise AssertionError(f"{error}: {proofs(office)}\n{said}\n{office.diary}") from error
        log = office.server.read(f"{STATE}/drill.log")
        assert all(each["fault"] is None for each in proofs(office).values()), log
        assert all(each["proved_at"] for each in proofs(office).values()), log
        for disk in DISKS:
            client.run(["cp", f"{disk}/file-1", f"{disk}/new"])
        assert office.backup("laptop", "--force").returncode == 0, office.diary
        assert re.search(r"last proved restorable: \w+day, .* ago", say(office))
        office.wait_idle()
        # a flush in the middle
        flush = office.server.start([ASYNCAMANDA, "server", "flush", "daily"])
        while True:
            code, found = drill(office, "--full")
            assert (code, {*found}) == (0, every), found
            if flush.poll() is not None and not office.held():
                break
        flush.communicate()
        assert "sealed: contents are proved by the client" in found[SEALED]["what"]
        assert all("names found" in found[disk]["what"] for disk in DISKS)
        assert {each["kind"] for each in found.values()} == {"full drill"}
        # a flipped byte
        (part, *_) = sorted(office.server.path("/srv/amanda/vtapes").glob("slot*/*._srv_docs.0"))
        flip(part)
        assert drill(office)[0] == 0  # which reads but a sample
        code, found = drill(office, "--full")
        assert (code, [disk for disk, each in found.items() if not each["good"]]) == (100, [DOCS])
        assert "is not as it was written" in found[DOCS]["what"]
        assert "is not as it was written" in proofs(office)[DOCS]["fault"]
        doctor = office.ask("server", "doctor", "laptop", check=False)
        assert "is not as it was written" in " ".join(doctor.stdout.split())
        # the client is told, and its next dump of that disk is a full one
        assert office.backup("laptop", "--force").returncode == 0, office.diary
        levels = {verdict.disk: verdict.level for verdict in office.dumps()[-1].verdicts}
        assert [disk for disk, level in levels.items() if not level] == [DOCS], levels
        assert f"NOT PROVED RESTORABLE: {DOCS}: the dump 20" in say(office)
        everybody = client.run([ASYNCAMANDA, "status"], user="nobody", check=False).stdout
        assert "is not as it was written" not in everybody
        code, found = drill(office)  # unless the scheduled one was faster: of all bytes again
        assert (code, found[DOCS]["level"]) == (0, 0)
        assert proofs(office)[DOCS]["fault"] is None


def test_what_is_lost_or_renamed_is_told_and_what_is_gone_is_not(lab_prefix: Path) -> None:
    """A volume that is missing, one that was used again, and a disk with another's name."""
    with open_office(lab_prefix) as office:
        office.fill()
        office.set_up(drill={"scheduled": False})
        server = office.server
        assert office.backup("laptop").returncode == 0, office.diary
        office.ask("server", "flush", "daily")
        wait_until("all is on a volume", lambda: office.held() == set())
        office.wait_idle()
        (slot,) = {part.parent for part in server.path("/srv/amanda/vtapes").glob("slot*/*laptop*")}
        away = slot.with_name("away")
        slot.rename(away)
        code, found = drill(office)
        assert (code, found["/srv/docs"]["good"]) == (100, False)
        assert "no virtual tape is labelled" in found["/srv/docs"]["what"]
        away.rename(slot)
        assert drill(office)[0] == 0
        # the new name is written as the old one, so Amanda gives it the old one's level
        disklist = "/etc/amanda/daily/disklist"
        lines = server.read(disklist)
        renamed = f'laptop ":srv:docs" {DOCS} roaming\n'
        server.write(disklist, renamed, owner="backup")
        assert office.backup("laptop", "--force").returncode == 100, office.diary
        code, found = drill(office)
        assert (code, found[":srv:docs"]["good"]) == (100, False)
        assert "the level 0 backup that" in found[":srv:docs"]["what"]
        server.write(disklist, lines, owner="backup")
        (label,) = set(office.volumes())
        server.write(disklist, lines, owner="backup")
        server.amanda("amrmtape", "--keep-label", "daily", label)
        code, found = drill(office)
        assert (code, found["/srv/docs"]["good"]) == (0, None)
        text = office.ask("server", "drill").stdout
        assert "nothing to prove" in text
        assert not office.connected()  # all of it without the client
