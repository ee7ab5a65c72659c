"""From any log to what a client is told and remembers: nothing made up, and nothing ends anything.

The whole way with its real parts: files, the ledger in SQLite, the message, the agent's memory.
"""

import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.samples import list_run_logs, read_sample
from tests.system.amandafiles import AmandaFiles
from tests.system.ledger_rows import read_newest

from asyncamanda.client.state.memory import decode_memory, encode_memory
from asyncamanda.core.agent.by_gate import (
    decide_by_gate,
    heed_welcome,
    settle_unseen,
    shift_clock,
)
from asyncamanda.core.amanda.disklist import Dle
from asyncamanda.core.model import Memory, Policy
from asyncamanda.core.protocol.messages import BadLine, Finished, Welcome
from asyncamanda.core.protocol.wire import encode, server_decoder
from asyncamanda.server.dispatch.amanda_config import _state_of
from asyncamanda.server.ledger.ledger import Ledger
from asyncamanda.server.ledger.log_import import take_in_all

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
STAMPS = ("20261126010000", "20261127010000")
OTHERS = ("20361123010000", "20269999999999", "20140101", "19700101000000", "99991231235959", "x")
CRC, SIZE = "7bf3ee61:5000", "[sec 1.0 kb 5 kps 5.0 orig-kb 5]"
BREAKS = ("\n", "\r", "\r\n", "\x0b", "\x0c", "\x1c", "\x85", "\u2028", "\x00", "\x1b[2J")

hosts = st.sampled_from(["laptop", "desktop", "*", '"lap top"', "LAPTOP"])
disks = st.sampled_from(["/home", "/srv", '"/a b"', ":home", "/ho\0me"])
stamps = st.sampled_from((*STAMPS, *OTHERS))
levels = st.sampled_from(["0", "1", "9", "399", "999"])
FORMS = (
    "DISK planner {host} {disk}",
    "SUCCESS dumper {host} {disk} {stamp} {level} {crc} {crc} {size}",
    "STRANGE dumper {host} {disk} {level} {crc} {crc} {size}",
    "SUCCESS chunker {host} {disk} {stamp} {level} {crc} {size}",
    "FAIL dumper {host} {disk} {stamp} {level} [why]",
    "PARTIAL chunker {host} {disk} {stamp} {level} {crc} {size}",
    "SUCCESS planner {host} {disk} {stamp} {level} [skipped: skip-incr]",
    'PART taper "ST:d" "POOL:d" D-1 1 {host} {disk} {stamp} 1/-1 {level} {size}',
    'DONE taper "ST:d" "POOL:d" {host} {disk} {stamp} 1 {level} {crc} {crc} {crc} {size}',
    "START taper datestamp {stamp} label {host} tape 1",
    "START planner date {stamp}",
    "FINISH driver date {stamp} time 1",
    "INFO amdump pid-done 7",
    "ERROR planner {host}: invalid reply from sendsize: `x'",
    "WARNING planner {host} {disk} {stamp} 0 {size}",
)
lines = st.builds(
    lambda form, host, disk, stamp, level: form.format(
        host=host, disk=disk, stamp=stamp, level=level, crc=CRC, size=SIZE
    ),
    st.sampled_from(FORMS),
    hosts,
    disks,
    stamps,
    levels,
)
real_lines = st.sampled_from(
    [line for name in list_run_logs() for line in read_sample(name).split("\n")]
)
pieces = st.lists(
    st.tuples(st.one_of(lines, real_lines, st.text(max_size=30)), st.sampled_from(BREAKS)),
    max_size=25,
)
held = st.sets(
    st.tuples(st.sampled_from(STAMPS), st.sampled_from(["/home", "/srv"]), st.integers(0, 1))
)


numbers = count()  # one ledger will do for all: each example has a configuration of its own


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ledger]:
    """An open ledger."""
    folder = tmp_path_factory.mktemp("ledger")
    opened = Ledger.open(str(folder / "ledger.sqlite"), timedelta(seconds=5))
    yield opened
    opened.close()


@settings(
    deadline=None,
    max_examples=150,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(st.tuples(pieces, pieces), held)
def test_whatever_logs_say_only_what_is_there_counts_and_nothing_ends(
    ledger: Ledger,
    texts: tuple[list[tuple[str, str]], list[tuple[str, str]]],
    there: set[tuple[str, str, int]],
) -> None:
    """No host outside the run gets a verdict, and none is good without a holding file."""
    folder, name = Path(tempfile.mkdtemp()), f"daily{next(numbers)}"
    try:
        files = AmandaFiles(folder)
        for stamp, disk, level in there:
            files.hold(stamp, disk=disk, level=level)
        for stamp, mixed in zip(STAMPS, texts, strict=True):
            head = (
                f"INFO amdump amdump pid 7\nSTART planner date {stamp}\nDISK planner laptop /home\n"
            )
            said = "".join(piece + end for piece, end in mixed)
            body = f"{head}WARNING planner laptop begins to speak\n{said}"
            (files.logdir / f"log.{stamp}.0").write_bytes(body.encode("utf-8", "surrogateescape"))
        amanda_config = replace(files.settings, name=name)
        told = list(take_in_all(ledger, amanda_config, lambda *_: False, datetime.now(UTC)))
        assert len([line for line in told if " imported: " in line]) == len(STAMPS)

        verdicts = read_newest(ledger, name)
        assert {host for host, _ in verdicts} <= {"laptop"}
        confirmed = ledger.verdicts.newest_confirmed(name, "laptop")
        assert {(v.timestamp, d, v.level) for d, v in confirmed.items()} <= there
        assert all(v.dumped_at and v.dumped_at <= datetime.now(UTC) for v in confirmed.values())
        _tell(ledger, name, sorted({disk for _, disk in verdicts} | {"/home"}))
    finally:
        shutil.rmtree(folder)


def _tell(ledger: Ledger, name: str, disks: list[str]) -> None:
    """Let the client hear of it, remember it and decide by it; fail if anything is lost."""
    confirmed = ledger.verdicts.newest_confirmed(name, "laptop")
    run = ledger.runs.list_recent(name, 1)[0]
    last = Finished(run.timestamp or "", NOW, tuple(ledger.verdicts.of_run(run.id)))
    states = tuple(_state_of(Dle("laptop", disk), confirmed.get(disk), NOW, None) for disk in disks)
    welcome = Welcome(1, "s", "laptop", "daily", NOW, timedelta(seconds=15), states, "idle", last)
    (heard,) = server_decoder().feed(encode(welcome))
    assert not isinstance(heard, BadLine), heard
    assert isinstance(heard, Welcome)
    heard, _ = shift_clock(heard, NOW)
    memory = settle_unseen(heed_welcome(Memory(since=NOW), heard, NOW), heard)
    assert decode_memory(encode_memory(memory)) == memory
    assert set(memory.confirmed) == set(confirmed)
    decision = decide_by_gate(memory, Policy(timedelta(days=1)), (), NOW)
    assert {verdict.disk.name for verdict in decision.disks} == set(disks)
