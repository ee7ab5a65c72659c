"""A client that begins to encrypt its dumps when the server has plain ones of it already."""

from __future__ import annotations

from pathlib import Path

from tests.e2e.back import restore, restored
from tests.e2e.dumps import force_next_level
from tests.e2e.laptop import ASYNCAMANDA
from tests.e2e.office import CONF, DISK, HOLDING, open_office
from tests.e2e.trees import read_tree

from asyncamanda.core.amanda.sealing import render_definitions

BASE = "define dumptype roaming-base {\n    roaming-amgtar\n}\n"
DISKLIST = "/etc/amanda/daily/disklist"
WORDS = ("backup@amanda", "--name", "laptop", "--encrypt", "--no-schedule", "--no-backup")


def test_all_dates_come_back_and_who_asks_hears_which_dumps_the_server_can_read(
    lab_prefix: Path,
) -> None:
    """A plain full, and above it an encrypted one; in between nothing is dumped."""
    with open_office(lab_prefix) as office:
        client, server = office.client("laptop"), office.server
        office.fill()
        office.set_up()
        top = client.path(DISK)
        trees = [read_tree(top)]
        assert office.backup("laptop", "--force").returncode == 0
        server.append(CONF, BASE + render_definitions(), owner="backup")
        setup = [ASYNCAMANDA, "setup", *WORDS, "--recovery-sheet", "/srv/sheet"]
        done = client.run(setup, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        assert office.backup("laptop", "--force").returncode != 0
        assert "the client refuses" in "".join(server.run_logs()[-1:])
        disklist = server.read(DISKLIST).replace(" roaming\n", " roaming-encrypted\n")
        server.write(DISKLIST, disklist, owner="backup")
        force_next_level(server, "laptop", [DISK])
        (top / "new").write_bytes(b"new")
        trees.append(read_tree(top))
        done = office.backup("laptop", "--force")
        assert done.returncode == 0, done.stderr + "".join(server.run_logs()[-1:])
        assert [verdict.level for verdict in office.dumps()[-1].verdicts] == [1]
        dumps = sorted(Path(server.path(HOLDING)).glob("*/laptop.*"))
        sealed = [b"age-encryption.org/v1" in path.read_bytes()[32_768:33_000] for path in dumps]
        assert sealed == [False, True]
        runs = [office.dumps()[0].timestamp, office.dumps()[-1].timestamp]
        for run, tree in zip(runs, trees, strict=True):
            done = restore(client, DISK, "--at", str(run))
            assert done.returncode == 0, done.stdout + done.stderr
            assert restored(client, DISK) == tree
            assert f"the dump {runs[0]} is not encrypted" in done.stdout + done.stderr
            assert f"the dump {runs[1]} is not" not in done.stdout + done.stderr
        listed = client.run([ASYNCAMANDA, "list", DISK, "--versions"], check=False)
        assert listed.returncode == 0, listed.stderr
        again = client.run([ASYNCAMANDA, "setup", *WORDS[:3], *WORDS[4:]], check=False)
        assert again.returncode == 0, again.stdout + again.stderr
        doctor = server.start([ASYNCAMANDA, "server", "doctor", "laptop", "--wait", "1m"])
        assert doctor.stderr
        assert "waiting up to 1m for laptop" in doctor.stderr.readline()
        office.backup("laptop", "--force")
        told, _ = doctor.communicate(timeout=120)
        assert "ok   amcheck" in told, told
