"""A disk that the holding disk has no room for is backed up anyway: straight to volumes."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e.back import restore, restored
from tests.e2e.laptop import Run, wait_until
from tests.e2e.office import CONF, DISK, HOLDING, Office, ends, open_office
from tests.e2e.trees import read_tree

from asyncamanda.core.amanda.runlog import RunLog
from asyncamanda.core.model import DumpState
from asyncamanda.server.enrol.newconfig import NewConfig, render_amanda_conf

SIZE = 200_000_000  # bytes, of which the holding disk has a fifth
SLOW = 20_000_000  # bits a second: 60 MB take half a minute
DAY = 86_400
INFO = "/var/lib/amanda/daily/curinfo/laptop/_srv_docs/info"
VTAPES = "/srv/amanda/vtapes"
PYTHON = "/opt/asyncamanda/bin/python"
EVIDENCE = """
import asyncio
from asyncamanda.core.amanda.runlog import parse_run_log
from asyncamanda.server.amanda import logs
from asyncamanda.server.amanda.commands import read_settings
from asyncamanda.server.amanda.witnesses import find_evidence
settings = asyncio.run(read_settings("daily"))
for name in logs.list_present(settings.logdir):
    log = parse_run_log(logs.read_log(settings.logdir, name))
    for (host, disk, _), levels in find_evidence(settings, log, logs.stamp_of(name)).stored.items():
        print(host, disk, *levels)
"""


@pytest.fixture
def office(lab_prefix: Path) -> Iterator[Office]:
    """Yield an office as `server setup --new-config` makes it, with a laptop and a tower."""
    with open_office(lab_prefix, "laptop", "tower") as built:
        new = NewConfig("daily", Path(VTAPES), Path(HOLDING), SIZE)
        built.server.write(CONF, render_amanda_conf(new), owner="backup")
        built.set_up()
        yield built


def let_days_pass(office: Office) -> None:
    """Let the last full be ten days old, as Amanda remembers it."""
    text = office.server.read(INFO)
    older = re.sub(r"\b1[0-9]{9}\b", lambda found: str(int(found[0]) - 10 * DAY), text)
    assert older != text
    office.server.write(INFO, older, owner="backup")


def back_up(office: Office) -> Run:
    """Back the laptop up, and fail unless that goes well."""
    done = office.backup("laptop", "--force", seconds=180)
    assert done.returncode == 0, f"{done.stdout}{done.stderr}\n{office.diary}"
    office.wait_idle()
    return done


def levels(office: Office) -> list[int]:
    """Return the levels at which the laptop's disk was dumped well, the oldest first."""
    return [
        verdict.level
        for log in office.dumps()
        for verdict in log.verdicts
        if (verdict.host, verdict.disk) == ("laptop", DISK) and verdict.state.is_confirmed
        if verdict.level is not None
    ]


def with_taper(office: Office) -> list[RunLog]:
    """Return the logs of those runs that wrote to volumes, flushes left out."""
    return [log for log in office.dumps() if log.labels]


def test_a_disk_larger_than_the_holding_disk_is_backed_up_again_and_again(office: Office) -> None:
    """0.3 of all the room: a full, an incremental, a second full; and it comes back whole."""
    laptop = office.client("laptop")
    office.fill("laptop", files=6, bytes_each=SIZE * 3 // 10 // 6)
    back_up(office)
    assert office.confirmed() == {("laptop", DISK): DumpState.STORED}
    laptop.add_tree(DISK, files=1, bytes_each=100_000)
    back_up(office)
    assert office.confirmed() == {("laptop", DISK): DumpState.HELD}, "it fits, so it is held"
    let_days_pass(office)
    laptop.add_tree(DISK, files=1, bytes_each=100_000)
    back_up(office)
    assert levels(office) == [0, 1, 0]
    assert len(with_taper(office)) == 2, office.diary
    tree = read_tree(laptop.path(DISK))
    done = restore(laptop, DISK)
    assert done.returncode == 0, done.stdout + done.stderr
    assert restored(laptop, DISK) == tree


def test_no_disk_costs_another_its_backup(office: Office) -> None:
    """A large disk is estimated in the run of another client, which is backed up meanwhile.

    It has a run of its own then, alone with the taper.
    """
    office.fill("laptop", files=6, bytes_each=SIZE * 3 // 10 // 6)
    office.fill("tower", files=3, bytes_each=3_000_000)
    done = ends([office.start("laptop"), office.start("tower")], 180)
    assert [code for code, _ in done] == [0, 0], (done, office.diary)
    assert office.confirmed() == {
        ("laptop", DISK): DumpState.STORED,
        ("tower", DISK): DumpState.HELD,
    }
    (taped,) = with_taper(office)
    assert taped.hosts == {"laptop"}, "tower's dump was in another run"


def test_more_than_half_of_all_volumes_is_refused_with_the_sum(office: Office) -> None:
    """Or the next full would overwrite what the last one needs; nothing is written for it."""
    office.fill("laptop", files=9, bytes_each=SIZE // 2 // 9)
    done = office.backup("laptop", seconds=180)
    said = done.stdout + done.stderr
    assert done.returncode != 0, said
    assert "needs 100 MB" in said, said
    assert "its administrator" in said, said
    assert not office.volumes()


def test_it_is_so_with_a_storage_of_its_own_as_well(office: Office) -> None:
    """Whose runtapes count, and not those of the configuration.

    And the dump is known again by its volumes and its log alone.
    """
    conf = office.server.read(CONF).replace('tpchanger "vtapes"', "", 1)
    storage = 'define storage main {\n tpchanger "vtapes"\n tapetype "VTAPE"\n runtapes 1\n}\n'
    conf = f'{conf}\n{storage}storage "main"\n'
    office.server.write(CONF, conf, owner="backup")
    office.fill("laptop", files=6, bytes_each=SIZE * 3 // 10 // 6)
    back_up(office)
    assert office.confirmed() == {("laptop", DISK): DumpState.STORED}
    office.server.run(["rm", INFO])
    seen = office.server.amanda(PYTHON, "-c", EVIDENCE)
    assert seen.stdout == f"laptop {DISK} 0\n", seen.stderr


def test_others_are_backed_up_beside_it(office: Office) -> None:
    """While it takes long, without a chunker whose death could be suspected; a dispatcher may die.

    Another one takes the run over, as what it is.
    """
    office.fill("laptop", files=6, bytes_each=SIZE * 3 // 10 // 6)
    office.fill("tower")
    office.client("laptop").slow(SLOW)
    laptop = office.start("laptop")
    wait_until("it writes to volumes", lambda: office.volumes() != [], 90)
    beside = office.backup("tower")
    assert beside.returncode == 0, f"{beside.stderr}\n{office.diary}"
    assert laptop.poll() is None, "the laptop was done first, so this proves nothing"
    office.kill("server dispatch")
    office.backup("tower", "--force")
    ((code, said),) = ends([laptop], 180)
    assert code == 0, f"{said}\n{office.diary}"
    assert "chunker" not in office.diary
    assert office.confirmed() == {
        ("laptop", DISK): DumpState.STORED,
        ("tower", DISK): DumpState.HELD,
    }
    assert len(with_taper(office)) == 1, office.diary


def test_a_dump_that_is_cut_again_and_again_does_not_overwrite_all(office: Office) -> None:
    """Nobody can use what it leaves on volumes: after a quarter of all it is tried no more."""
    laptop = office.client("laptop")
    office.fill("laptop", files=6, bytes_each=SIZE * 3 // 10 // 6)
    office.configure({"grace": "1s"})
    laptop.slow(SLOW)
    agent = office.start("laptop")
    wait_until("it has used a quarter", lambda: len(office.volumes()) >= 5, 120)
    laptop.cut()
    wait_until("the run has failed", lambda: "not backed up" in office.diary.split("no-flush")[-1])
    agent.kill()
    agent.communicate()
    laptop.heal()
    office.wait_idle()
    used = len(office.volumes())
    refused = office.backup("laptop", "--force", seconds=180)
    assert refused.returncode != 0
    assert f"have used {used} of 20 volumes within 7 days" in refused.stderr, office.diary
    assert len(office.volumes()) == used
