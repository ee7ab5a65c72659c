"""An export is read from a foreign hand: whole, of an export's names, regular files, or refused."""

import gzip
import io
import json
import os
import random
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.system.exports import (
    EXPORT_HEAD,
    FILES,
    Entry,
    entry,
    insert,
    pack,
    plan_entries,
    read_export,
)

from asyncamanda.core.export.manifest import render_head
from asyncamanda.errors import AsyncamandaError, LaterError
from asyncamanda.server.export.archive import ExportWriter, read_members
from asyncamanda.server.export.verified import ExportFile, verify

FIFO, DEVICE = tarfile.FIFOTYPE, tarfile.CHRTYPE


def rename(before: str, after: str) -> Callable[[list[Entry]], list[Entry]]:
    """Return what gives a member another name."""

    def do(entries: list[Entry]) -> list[Entry]:
        next(info for info, _ in entries if info.name == before).name = after
        return entries

    return do


def forge(name: str, **values: object) -> Callable[[list[Entry]], list[Entry]]:
    """Return what changes values of a member."""

    def do(entries: list[Entry]) -> list[Entry]:
        info = next(info for info, _ in entries if info.name == name)
        for key, value in values.items():
            setattr(info, key, value)
        return entries

    return do


CHEATS: dict[str, Callable[[list[Entry]], list[Entry]]] = {
    "a path upwards": insert(2, entry("common/../../../etc/cron.d/x", b"x")),
    "a whole path": insert(2, entry("/etc/cron.d/x", b"x")),
    "a name that is none": insert(2, entry("etc/cron.d/x", b"x")),
    "a folder": insert(2, entry("common/x", kind=tarfile.DIRTYPE)),
    "a link out": insert(2, entry("common/x", kind=tarfile.SYMTYPE, link="/etc")),
    "a link in a member's place": forge("server.toml", type=tarfile.SYMTYPE, linkname="/x", size=0),
    "a hard link": insert(2, entry("common/x", kind=tarfile.LNKTYPE, link="server.toml")),
    "a pipe": insert(2, entry("common/x", kind=FIFO)),
    "a device": insert(2, entry("common/x", kind=DEVICE)),
    "a sparse file": insert(2, entry("common/x", kind=tarfile.GNUTYPE_SPARSE)),
    "a name twice": insert(2, entry("server.toml", b"max_runs = 9\n")),
    "a file that the manifest lacks": insert(2, entry("common/x", b"x")),
    "another size": forge("server.toml", size=4),
    "a size beyond all": forge("server.toml", size=1 << 60),
    "a set-uid program": forge("amanda/daily/conf/amanda.conf", mode=0o4755),
    "an attribute": forge("server.toml", pax_headers={"SCHILY.xattr.security.capability": "x"}),
    "no head": lambda entries: entries[1:],
    "the head later": lambda entries: [entries[1], entries[0], *entries[2:]],
    "no manifest": lambda entries: entries[:-1],
    "the manifest first": lambda entries: [entries[-1], *entries[:-1]],
    "something behind the manifest": insert(99, entry("common/x", b"x")),
    "a file missing": lambda entries: [entries[0], *entries[2:]],
    "two files exchanged": lambda entries: [
        entries[0],
        (entries[1][0], b"max_runs = 3\n"),
        *entries[2:],
    ],
    "a large head": lambda entries: [entry("export.json", b" " * 17_000_000), *entries[1:]],
    "deep JSON": lambda entries: [*entries[:-1], entry("manifest.json", b"[" * 100_000)],
    "nothing": lambda _: [],
}


def test_what_was_written_is_read(tmp_path: Path) -> None:
    """By ours, and by tar; of names that are no UTF-8, long ones, empty files."""
    names = ("common/x\udce9", "common/" + "/".join(["y" * 200] * 3), "common/empty")
    texts = {"export.json": render_head(EXPORT_HEAD), **dict.fromkeys(names, b"")}
    texts |= {names[0]: os.urandom(700_000), names[1]: b"z" * 1024}
    packed = io.BytesIO()
    writer = ExportWriter(packed, 7)
    for name, text in texts.items():
        writer.add_text(name, text)
    writer.end()
    assert (writer.count, writer.size) == (len(texts), sum(map(len, texts.values())))
    read = {
        each.name: b"".join(each.pieces) for each in read_members(io.BytesIO(packed.getvalue()))
    }
    assert {name: read[name] for name in texts} == texts
    assert {*read} == {*texts, "manifest.json"}
    export = read_export(tmp_path, packed.getvalue())
    assert {*export.members} == {*names}
    with tarfile.open(fileobj=io.BytesIO(packed.getvalue()), errors="surrogateescape") as archive:
        assert {name.removeprefix("./") for name in archive.getnames()} == {*read}


def test_a_whole_export_is_read(tmp_path: Path) -> None:
    """Else the cheats would be refused for another reason."""
    export = read_export(tmp_path, pack(plan_entries()))
    assert {*export.members} == {*FILES}
    assert export.head == EXPORT_HEAD
    assert export.texts["server.toml"] == FILES["server.toml"]


@pytest.mark.parametrize("cheat", CHEATS)
def test_what_no_export_has_is_refused(tmp_path: Path, cheat: str) -> None:
    """Before anything of it is used."""
    entries = CHEATS[cheat](plan_entries())
    packed = io.BytesIO()
    with gzip.open(packed, "wb") as zipped:
        for info, text in entries:  # as they are, sizes that are lies as well
            zipped.write(info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape"))
            zipped.write(text.ljust(-(-len(text) // 512) * 512, b"\0"))
        zipped.write(bytes(1024))
    with pytest.raises(AsyncamandaError) as error:
        read_export(tmp_path, packed.getvalue())
    assert error.value.reference == "bad-export", error.value


def test_a_cut_file_is_refused_wherever_it_is_cut(tmp_path: Path) -> None:
    """And one with anything behind its end."""
    whole = pack(plan_entries())
    for size in {0, 1, 10, len(whole) - 1, len(whole) - 9, *range(0, len(whole), 97)}:
        with pytest.raises(AsyncamandaError, match="damaged"):
            read_export(tmp_path, whole[:size])
    for more in (b"x", whole):
        with pytest.raises(AsyncamandaError, match="behind its end"):
            read_export(tmp_path, whole + more)


def test_a_flipped_bit_is_noticed(tmp_path: Path) -> None:
    """But in what gzip's header says of the time and the system."""
    whole = pack(plan_entries())
    chosen = random.Random(7).sample(range(10, len(whole)), 150)  # noqa: S311 - the same each time
    for place in chosen:
        bad = bytearray(whole)
        bad[place] ^= 1 << place % 8
        with pytest.raises(AsyncamandaError):
            read_export(tmp_path, bytes(bad))


def test_a_newer_export_is_refused_with_what_reads_it(tmp_path: Path) -> None:
    """By format, or by that of its ledger."""
    said = json.loads(render_head(EXPORT_HEAD))
    ledger = {"ledger.sqlite": b"x"}
    for changes, files in (({"format": 2, "configs": 7}, {}), ({"ledger_format": 99}, ledger)):
        head = json.dumps(said | changes | {"version": "9.1"}).encode()
        with pytest.raises(AsyncamandaError, match=r"asyncamanda 9\.1") as error:
            read_export(tmp_path, pack(plan_entries(FILES | files, head)))
        assert error.value.exit == 78
    with pytest.raises(AsyncamandaError, match="does not fit its ledger"):
        read_export(tmp_path, pack(plan_entries(FILES | ledger)))


def test_only_a_regular_file_is_read(tmp_path: Path) -> None:
    """A pipe would never end."""
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path):
        with pytest.raises(AsyncamandaError):
            verify(ExportFile(path))
    with pytest.raises(AsyncamandaError, match="cannot be read"):
        verify(ExportFile(tmp_path / "none"))


def test_a_file_that_becomes_shorter_while_it_is_read_is_told() -> None:
    """And one that grows is as long as it was."""
    writer = ExportWriter(io.BytesIO(), 0)
    writer.add("common/x", 3, [b"ab", b"cdef"])
    with pytest.raises(LaterError):
        writer.add("common/y", 3, [b"ab"])
