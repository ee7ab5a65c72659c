"""What asyncamanda says is so: a backup counts when the server has it, whatever a log says.

Logs are put into Amanda's logdir as they could come to be, beside the real Amanda's dumps and
flushes; the files themselves are harmless.
"""

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from tests.e2e.laptop import ask_json, outcomes, wait_until
from tests.e2e.office import CONF, DISK, HOLDING, LOGDIR, Office, ends, open_office

from asyncamanda.core.model import DumpState
from asyncamanda.system.clock import format_local_stamp, parse_local_stamp

CRC = "7bf3ee61:40960"
SIZE = "[sec 1.0 kb 40 kps 40.0 orig-kb 40]"


@pytest.fixture
def office(lab_prefix: Path) -> Iterator[Office]:
    """Yield an office with a laptop that is backed up, and a tower that never was."""
    with open_office(lab_prefix, "laptop", "tower") as opened:
        opened.fill()
        opened.set_up()
        assert opened.backup("laptop").returncode == 0
        yield opened


def _log(stamp: str, *lines: str, date: str = "", hosts: tuple[str, ...] = ("laptop",)) -> str:
    """Return the text of a run's log with these lines in its midst."""
    date = date or stamp
    return "\n".join(
        (
            "INFO amdump amdump pid 4194300",
            f"START planner date {date}",
            *(f"DISK planner {host} {DISK}" for host in hosts),
            f"START driver date {date}",
            *lines,
            f"FINISH driver date {date} time 5.0",
            "INFO amdump pid-done 4194300",
            "",
        )
    )


def _dumped(host: str, stamp: str) -> tuple[str, str]:
    """Return Amanda's words on a good full dump."""
    return (
        f"SUCCESS chunker {host} {DISK} {stamp} 0 {CRC} {SIZE}",
        f"SUCCESS dumper {host} {DISK} {stamp} 0 {CRC} {CRC} {SIZE}",
    )


def _put_logs(office: Office) -> None:
    """Put logs there that claim a backup of the tower, or are invalid."""
    now = parse_local_stamp(max(log.timestamp or "" for log in office.dumps()))
    stamps = (format_local_stamp(now - timedelta(hours=hours)) for hours in range(2, 40))
    write = {}
    for ending in ("\n", "\r", "\x0b", "\x0c", "\x85", "\u2028"):
        stamp = next(stamps)  # another host's lines, in a run that was not for it
        write[stamp] = _log(
            stamp, "INFO planner said " + ending.join(("", *_dumped("tower", stamp)))
        )
    for host, held in (("tower", ""), ("laptop", "laptop._srv_docs.0"), ("tower", "part")):
        stamp = next(stamps)  # in a run that was for it: no file, another host's, and a part of one
        write[stamp] = _log(stamp, *_dumped("tower", stamp), hosts=("tower",))
        if held:
            crc = "SERVER-CRC=c24a1bdd:40961\n" if held == "part" else "SERVER-CRC=c24a1bdd:0\n"
            header = f"AMANDA: FILE {stamp} {host} {DISK}  lev 0 comp N program /bin/tar\n{crc}"
            place = office.server.path(f"{HOLDING}/{stamp}")
            office.server.make_directory(f"{HOLDING}/{stamp}", owner="backup")
            data = b"x" * 40960 if held == "part" else b""
            (place / f"{host}._srv_docs.0").write_bytes(header.encode().ljust(32768, b"\0") + data)
    done = f'DONE taper "ST:daily" "POOL:daily" tower {DISK} {{}} 1 0 {CRC} {CRC} {CRC} {SIZE}'
    for older in (next(stamps), "20361123010000", "20269999999999", "20140101"):
        stamp = next(stamps)  # a flush of what was never held, or of no time at all
        write[stamp] = _log(stamp, done.format(older)).replace("amdump", "amflush")
    for stamp, date in (
        (next(stamps), "20140101"),
        (next(stamps), "20361123010000"),
        ("20361123010000", ""),
        ("20269999999999", ""),
    ):
        write[stamp] = _log(stamp, *_dumped("tower", date or stamp), date=date, hosts=("tower",))
    for stamp, text in write.items():
        office.server.write(f"{LOGDIR}/log.{stamp}.0", text, owner="backup")


def test_no_log_makes_a_client_look_backed_up_or_wrong_for_ever(office: Office) -> None:
    """Claims without a witness count for nothing, and end nothing; real dumps go on to count."""
    _put_logs(office)
    check = office.client("tower").run(["/usr/local/bin/asyncamanda", "check"], check=False)
    assert "all well" not in check.stdout
    run = office.backup("tower")
    assert run.returncode == 0, run.stderr + office.diary
    assert f"{DISK} (level 0)" in run.stdout
    assert office.confirmed() == {(name, DISK): DumpState.HELD for name in ("laptop", "tower")}
    assert [log.hosts for log in office.dumps() if log.pid != 4194300] == [{"laptop"}, {"tower"}]
    status = ask_json(office.client("tower"), "status")
    attempt = status["last_attempt"]
    assert attempt["started_at"] <= status["last_backup_at"] <= attempt["ended_at"]
    office.ask("server", "flush", "daily")
    wait_until("all is on a volume", lambda: office.held() == set())
    assert office.confirmed() == {(name, DISK): DumpState.STORED for name in ("laptop", "tower")}
    assert office.server.restore("tower", DISK) == office.client("tower").tree(DISK)
    assert "Traceback" not in office.diary
    office.shift_clocks(timedelta(hours=25))
    assert ask_json(office.client("tower"), "check")["due"]


def test_a_needed_force_is_not_dropped_by_a_log(office: Office) -> None:
    """After a lost dump a full is made, though a later log says that all went well since."""
    office.client("tower").add_tree(DISK, files=1, bytes_each=2_000_000)
    office.client("tower").slow(1_000_000)
    agent = office.start("tower")
    office.wait_for_dump("tower")
    office.kill("amdump|/driver|dumper|chunker")
    assert ends([agent])[0][0] == 100
    office.client("tower").heal()
    stamp = format_local_stamp(
        parse_local_stamp(office.dumps()[-1].timestamp or "") + timedelta(seconds=1)
    )
    text = _log(stamp, *_dumped("tower", stamp), hosts=("laptop", "tower"))
    office.server.write(f"{LOGDIR}/log.{stamp}.0", text, owner="backup")
    assert office.backup("tower").returncode == 0
    assert office.diary.count(f"force tower {DISK}: amadmin: tower:{DISK} is set to a forced") >= 1
    (dump,) = office.server.stored("tower", DISK)
    assert dump.level == 0


def test_a_run_whose_log_amanda_moves_away_at_its_end_is_good(office: Office) -> None:
    """With a global dumpcycle of 0 that is each run's own log (amtrmlog)."""
    conf = office.server.read(CONF)
    assert "dumpcycle 1 week\n" in conf
    conf = conf.replace("dumpcycle 1 week\n", "dumpcycle 0\n")
    office.server.write(CONF, conf, owner="backup")
    run = office.backup("tower")
    assert run.returncode == 0, run.stderr + office.diary
    office.wait_idle()  # what amdump does last
    moved = list(office.server.path(f"{LOGDIR}/oldlog").glob("log.*"))
    assert moved, "Amanda did not move it, so this proves nothing"
    assert office.confirmed()["tower", DISK] is DumpState.HELD
    assert "force tower" not in office.diary
    assert office.backup("tower").stdout == ""
    assert [
        log["dumps"]["held"] for log in json.loads(office.ask("server", "runs", "--json").stdout)
    ] == [
        1,
        1,
    ]


def test_a_disk_renamed_to_what_amanda_writes_alike_gets_a_full(office: Office) -> None:
    """Its first dump is an incremental of nothing, which Amanda calls a success."""
    disklist = office.server.read("/etc/amanda/daily/disklist")
    renamed = disklist.replace(f"laptop {DISK} roaming", f'laptop ":srv:docs" {DISK} roaming')
    assert renamed != disklist
    office.server.write("/etc/amanda/daily/disklist", renamed, owner="backup")
    first = office.backup("laptop", "--force")
    assert [v.level for v in office.dumps()[-1].verdicts] == [1], "so this proves nothing"
    assert first.returncode == 100, first.stdout
    assert "no full one of a disk of that name" in first.stderr
    assert ("laptop", ":srv:docs") not in office.confirmed()
    second = office.backup("laptop")
    assert second.returncode == 0, second.stderr + office.diary
    assert ":srv:docs (level 0)" in second.stdout
    assert outcomes(office.client("laptop"))[-2:] == ["failed", "backed up"]


def test_a_start_after_a_killed_run_gets_a_run(office: Office) -> None:
    """While the dead run is still being judged: it is not the new start's end."""
    server, tower = office.server, office.client("tower")
    slowly = '#!/bin/sh\nwhile [ ! -e /srv/go ]; do sleep 0.1; done\nexec /usr/sbin/amreport "$@"\n'
    server.write("/usr/local/sbin/amreport", slowly, mode=0o755)
    tower.add_tree(DISK, files=1, bytes_each=2_000_000)
    tower.slow(1_000_000)
    agent = office.start("tower")
    office.wait_for_dump("tower")
    agent.kill()
    agent.communicate()
    office.kill("amdump|/driver|dumper|chunker")
    wait_until("it is being judged", lambda: bool(office.pids("amreport")))
    tower.heal()
    second = office.start("tower", "-v")
    wait_until("it is there", lambda: office.connected() == ["tower"])
    server.write("/srv/go", "")
    ((code, words),) = ends([second])
    assert code == 0, words + office.diary
    assert "which goes on there" not in words
    assert office.confirmed()["tower", DISK] is DumpState.HELD
