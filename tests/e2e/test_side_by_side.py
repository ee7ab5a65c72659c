"""Runs side by side: with one start at a time and a keeper file none of them is lost."""

from pathlib import Path

from tests.e2e.laptop import wait_until
from tests.e2e.office import DISK, ends, open_office

SHORT = tuple(f"pc{number}" for number in range(10))


def test_long_estimate_and_long_dump_bear_ten_runs_beside_them(lab_prefix: Path) -> None:
    """A run that still estimates has an empty holding directory, which each later driver clears."""
    with open_office(lab_prefix, "thinker", "dumper", *SHORT) as office:
        office.fill("dumper", files=4, bytes_each=2_000_000)
        office.fill("thinker", *SHORT)
        office.set_up({"max_runs": 4, "batch_window": "0.1s"})
        thinker, dumper = office.client("thinker"), office.client("dumper")
        dumper.slow(500_000)
        long_dump = office.start("dumper")
        office.wait_for_dump("dumper")
        # the estimate of the other one is held in its middle
        holder = thinker.start(["sh", "-c", "until pkill -STOP sendsize; do :; done; echo held"])
        long_estimate = office.start("thinker")
        assert holder.stdout
        assert holder.stdout.readline() == "held\n"
        wait_until("its run has a name", lambda: len(office.dumps()) == 2)
        done = []
        for pair in zip(SHORT[::2], SHORT[1::2], strict=True):  # two of them at a time, besides
            done += ends([office.start(name) for name in pair])
        assert [code for code, _ in done] == [0] * 10, [*done, office.diary]
        assert long_dump.poll() is None
        assert long_estimate.poll() is None
        thinker.run(["pkill", "-CONT", "sendsize"])
        dumper.heal()
        (estimated, _), (dumped, _) = ends([long_estimate, long_dump])
        assert dumped == 0, office.diary
        # Amanda has been seen to call this dump a success in its log and PARTIAL=YES in the
        # header: that is no backup, the client hears so, and its next start makes one
        if estimated:
            assert estimated == 100
            assert "neither the holding disk nor a volume has it" in office.diary
            assert [code for code, _ in ends([office.start("thinker")])] == [0], office.diary
        assert office.failures() == []
        assert len(office.dumps()) >= 7
        names = ("thinker", "dumper", *SHORT)
        assert set(office.confirmed()) == {(name, DISK) for name in names}
