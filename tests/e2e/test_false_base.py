"""A dump that was cut leaves a false snapshot on the client: nothing may be built on that.

Proved by content: the chain of dumps is restored with tar and compared with the client's files.
"""

from pathlib import Path

import pytest
from tests.e2e.laptop import wait_until
from tests.e2e.office import CONF, DISK, Office, open_office

SLOW = 700_000  # bits a second: the client is done long before the server has its dump
PLAIN = "maxpromoteday 0"  # as the lab's dumptypes have it
FULLS = f"{PLAIN}\n    dumpcycle 0"
BUMP = f"{PLAIN}\n    bumpsize 1 kbytes\n    bumpmult 1\n    bumpdays 1"


def _set_dumptypes(office: Office, words: str) -> None:
    """Let the lab's dumptypes say `words`."""
    conf = office.server.read(CONF)
    said = next(said for said in (FULLS, BUMP, PLAIN) if said in conf)
    office.server.write(CONF, conf.replace(said, words), owner="backup")


def _levels(office: Office) -> list[int]:
    return [dump.level for dump in office.server.stored("laptop", DISK)]


def _lose_a_dump(office: Office, *, is_cut: bool) -> None:
    """Lose a dump when its client takes it for made, and the server has a part of it.

    The link is cut, so that Amanda says FAIL; or the run is killed, and says nothing.
    """
    laptop = office.client("laptop")
    before = laptop.amandates
    laptop.slow(SLOW)
    agent = office.start("laptop", "--force")
    laptop.wait_for_amandates(before)
    if is_cut:
        laptop.cut()
    else:
        office.kill("amdump|/driver|dumper|chunker")
    wait_until("the run has failed", lambda: "not backed up" in office.diary, 120)
    agent.kill()
    agent.communicate()
    laptop.heal()
    assert laptop.amandates != before, "amandates did not lie, so this proves nothing"


@pytest.mark.parametrize(("level", "is_cut"), [(0, False), (1, True), (1, False)])
def test_next_dump_does_not_build_on_a_false_snapshot(
    lab_prefix: Path, level: int, is_cut: bool
) -> None:
    """After a lost level 0 a full is made; after a lost level 1 another one, and no bump."""
    with open_office(lab_prefix, "laptop") as office:
        laptop = office.client("laptop")
        office.fill()
        office.set_up({"grace": "5s"})  # a cut call is not waited for
        good = [0, 1][: level + 1]
        for _ in good:
            laptop.add_tree(DISK, files=1)
            assert office.backup("laptop", "--force").returncode == 0
        assert _levels(office) == good

        laptop.add_tree(DISK, files=1, bytes_each=1_500_000)
        _set_dumptypes(office, PLAIN if level else FULLS)
        _lose_a_dump(office, is_cut=is_cut)
        assert _levels(office) == good, "the lost dump passes for a good one"

        _set_dumptypes(office, BUMP)
        run = office.backup("laptop", "--force")
        assert run.returncode == 0, run.stderr + office.diary
        assert office.server.restore("laptop", DISK) == laptop.tree(DISK)
        assert _levels(office)[-1] == level
