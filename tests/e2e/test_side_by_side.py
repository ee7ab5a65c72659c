"""Runs side by side: with one start at a time and a keeper file none of them is lost."""

from pathlib import Path

from tests.e2e.laptop import wait_until
from tests.e2e.office import CONF, DISK, HOLDING, STATE, Office, ends, open_office
from tests.e2e.stopping import go_on, stop_next, wait_stopped

DISKLIST = "/etc/amanda/daily/disklist"
SHORT = tuple(f"pc{number}" for number in range(10))


def use_small_chunks(office: Office) -> None:
    """Let a held dump be made of many files: one that a driver marks as partial stays so."""
    whole = "    use 500 mbytes\n"
    conf = office.server.read(CONF)
    assert whole in conf
    chunked = conf.replace(whole, f"{whole}    chunksize 1 mbyte\n")
    office.server.write(CONF, chunked, owner="backup")


def test_long_estimate_and_long_dump_bear_ten_runs_beside_them(lab_prefix: Path) -> None:
    """A run that still estimates has an empty holding directory, which each later driver clears."""
    with open_office(lab_prefix, "thinker", "dumper", *SHORT) as office:
        office.fill("dumper", files=8, bytes_each=4_000_000)
        office.fill("thinker", *SHORT)
        office.set_up({"max_runs": 4, "batch_window": "0.1s"})
        use_small_chunks(office)
        thinker, dumper = office.client("thinker"), office.client("dumper")
        dumper.slow(500_000)
        long_dump = office.start("dumper")
        office.wait_for_dump("dumper")
        # the estimate of the other one is held
        stop_next(thinker, "sendsize")
        long_estimate = office.start("thinker")
        wait_stopped(thinker, "sendsize")
        wait_until("its run has a name", lambda: len(office.dumps()) == 2)
        # what says of a holding directory that its run is alive may be gone at any moment
        gone = f"while :; do rm -f {HOLDING}/*/pid; sleep 0.01; done"
        thief = office.server.start(["sh", "-c", gone])
        done = []
        for pair in zip(SHORT[::2], SHORT[1::2], strict=True):  # two of them at a time, besides
            done += ends([office.start(name) for name in pair])
        assert [code for code, _ in done] == [0] * 10, [*done, office.diary]
        assert long_dump.poll() is None
        assert long_estimate.poll() is None
        go_on(thinker, "sendsize")
        dumper.heal()
        codes = [code for code, _ in ends([long_estimate, long_dump])]
        assert codes == [0, 0], office.diary
        thief.kill()
        assert office.failures() == []
        assert len(office.dumps()) >= 7
        names = ("thinker", "dumper", *SHORT)
        assert set(office.confirmed()) == {(name, DISK) for name in names}


def test_held_dumps_cost_nobody_a_dump(lab_prefix: Path) -> None:
    """A driver takes the DLE of each held dump that it sees for its own, and marks its next one."""
    with open_office(lab_prefix, "dumper", "pc0") as office:
        office.fill(files=4, bytes_each=100_000)
        office.set_up({"max_runs": 4, "batch_window": "0.1s"})
        assert [code for code, _ in ends([office.start(n) for n in ("dumper", "pc0")])] == [0, 0]
        office.client("dumper").add_tree(DISK, files=4, bytes_each=1_500_000)
        office.client("dumper").slow(400_000)
        long_dump = office.start("dumper", "--force")
        office.wait_for_dump("dumper")
        # what says of its holding directory that its run is alive may be gone at any moment
        live = [*Path(office.server.path(HOLDING)).glob("*/dumper.*.tmp")]
        assert len(live) == 1
        gone = f"while :; do rm -f {HOLDING}/{live[0].parent.name}/pid; sleep 0.01; done"
        thief = office.server.start(["sh", "-c", gone])
        assert [code for code, _ in ends([office.start("pc0", "--force")])] == [0], office.diary
        assert live[0].exists()
        assert not list(Path(office.server.path(HOLDING)).glob("*/.asyncamanda.hidden"))
        left = ["grep", "-rl", "hides these dumps", HOLDING]
        assert office.server.run(left, check=False).stdout == ""
        office.client("dumper").heal()
        assert [code for code, _ in ends([long_dump])] == [0], office.diary
        thief.kill()
        office.ask("server", "flush", "daily")
        wait_until("all is flushed", lambda: not office.held(), 60)
        assert office.server.restore("dumper", DISK) == office.client("dumper").tree(DISK)


def test_dump_bears_runs_of_others_beside_it(lab_prefix: Path) -> None:
    """Each driver removes what keeps others off a live run's folder; one that ends clears it."""
    with open_office(lab_prefix, "dumper", "pc0") as office:
        office.fill("dumper", files=8, bytes_each=3_000_000)
        office.fill("pc0")
        office.set_up({"batch_window": "0.1s"}, direct={"pc0"})
        mine = f"dumper {DISK} {{ # its own\n roaming\n}}\n"
        office.server.write("/etc/amanda/daily/more list", mine, owner="backup")
        both = f'includefile "more list"\npc0 {DISK} roaming\n'
        office.server.write(DISKLIST, both, owner="backup")
        use_small_chunks(office)
        dumper = office.client("dumper")
        dumper.slow(400_000)
        long_dump = office.start("dumper")
        office.wait_for_dump("dumper")
        own_list = office.server.read(f"{STATE}/reports/daily.run-1.disklist")
        assert own_list == mine
        amdump = ["amdump", "daily", "--no-taper", "--exact-match", "pc0"]
        for _ in range(2):  # as somebody's cron would, for all DLEs
            office.server.run(amdump, user="backup", timeout=60)
        assert long_dump.poll() is None
        dumper.heal()
        assert [code for code, _ in ends([long_dump])] == [0], office.diary
        assert ("dumper", DISK) in office.confirmed()
        # a client whose dumps are all there is let go before its run has ended
        gone = office.server.path(f"{STATE}/reports/daily.run-1.disklist")
        wait_until("the run's own disklist is gone", lambda: not gone.exists(), 60)


def test_run_without_a_list_of_its_own_goes_on_with_the_whole_one(lab_prefix: Path) -> None:
    """A line that goes on in the next is Amanda's to understand; the log says what is missing."""
    with open_office(lab_prefix, "pc0") as office:
        office.fill("pc0")
        office.set_up()
        office.server.write(DISKLIST, f"pc0 \\\n{DISK} roaming\n", owner="backup")
        assert [code for code, _ in ends([office.start("pc0")])] == [0], office.diary
        assert "run 1 has no disklist of its own: " in office.diary
        assert set(office.confirmed()) == {("pc0", DISK)}
