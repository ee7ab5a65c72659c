"""What our code takes for granted of how Amanda keeps dumps, asked of the real one."""

import re
from dataclasses import replace
from pathlib import Path

from asyncamanda.core.amanda.dump_form import DumpForm, parse_form
from asyncamanda.core.amanda.filters import GZIP, FilterStep
from asyncamanda.core.amanda.found_dumps import parse_found
from asyncamanda.core.amanda.header import (
    HEADER_BYTES,
    DumpHeader,
    FileKind,
    parse_header,
    parse_volume_stamp,
)
from lab import Lab

CONF = "/etc/amanda/daily/amanda.conf"
TYPES = """
define dumptype packed {
    roaming
    compress client fast
    exclude file "./left-out"
}
define application with-lists {
    plugin "amgtar"
    property "ACLS" "yes"
}
define dumptype custom {
    roaming-amgtar
    application "with-lists"
    compress server custom
    server-custom-compress "/bin/gzip"
}
"""


def read_headers(folder: Path, pattern: str) -> dict[Path, DumpHeader]:
    """Return the headers of the files of that pattern, which each have one."""
    found = {}
    for path in sorted(folder.glob(pattern)):
        header = parse_header(path.read_bytes()[:HEADER_BYTES])
        assert header
        found[path] = header
    assert found
    return found


def is_left_out(header: DumpHeader) -> bool:
    """Return whether a header has what the dumptype excludes."""
    extent = parse_form(header).extent
    assert extent is not None
    return any("./left-out" in each for each in extent)


def test_headers_tell_what_made_a_dump_and_what_undoes_its_filters(bare_lab: Lab) -> None:
    """In each of its files, as long as it is held and on a volume; a long one is in several."""
    server = bare_lab.server
    conf = server.read(CONF) + TYPES
    conf = conf.replace("    use 500 mbytes\n", "    use 500 mbytes\n    chunksize 1 mbytes\n")
    conf = conf.replace("    length 500 mbytes\n", "    length 3 mbytes\n    part_size 1 mbytes\n")
    server.write(CONF, conf, owner="backup")
    tar = server.amanda("amgetconf", "build.GNUTAR").stdout.strip()  # as Amanda was built
    assert tar in {"/bin/tar", "/usr/bin/tar"}  # Debian 12's and 13's
    forms = {
        ("/srv/plain", "roaming"): DumpForm(tar),
        ("/srv/pa ck", "packed"): DumpForm(tar, steps=(FilterStep(GZIP),)),
        ("/srv/custom", "custom"): DumpForm(
            "APPLICATION", "amgtar", (FilterStep("/bin/gzip"),), keeps_acls=True
        ),
    }
    for disk, dumptype in forms:
        bare_lab.client.add_tree(disk, files=1, bytes_each=2_500_000)
        server.add_dle("laptop", disk, dumptype)

    server.amanda("amdump", "daily", "--no-taper", "--exact-match", "laptop")
    holding = server.path("/srv/amanda/holding")
    (folder,) = (each for each in holding.iterdir() if each.is_dir())
    sizes = {}
    for (disk, _), form in forms.items():
        name = f"laptop.{disk.replace('/', '_')}.0"
        held = read_headers(folder, f"{name}*")
        assert [header.kind for header in held.values()] == [
            FileKind.WHOLE, *[FileKind.GOES_ON] * (len(held) - 1)
        ]  # fmt: skip
        assert len(held) > 2
        names = [f"/srv/amanda/holding/{folder.name}/{path.name}" for path in held]
        assert [header.goes_on_in for header in held.values()] == [*names[1:], ""]
        for header in held.values():
            assert header.is_of("laptop", disk, folder.name)
            assert replace(parse_form(header), extent=None) == form
            assert form.is_tar
            assert is_left_out(header) == (disk == "/srv/pa ck")
        sizes[disk] = sum(path.stat().st_size - HEADER_BYTES for path in held)
        assert next(iter(held.values())).size == sizes[disk]
    printed = server.amanda("amadmin", "daily", "find", "--exact-match", "laptop").stdout
    assert list(parse_found(printed)) == []
    assert len(re.findall(" HOLDING HOLDING ", printed)) == len(forms)

    server.amanda("amflush", "-b", "-f", "daily", "-oruntapes=5")
    printed = server.amanda("amadmin", "daily", "find", "--exact-match", "laptop").stdout
    parts = list(parse_found(printed))
    assert len({part.label for part in parts}) > 1
    for (disk, _), form in forms.items():
        own = [part for part in parts if part.disk == disk]
        assert [part.part for part in own] == [*range(1, own[0].parts + 1)]
        assert len(own) > 2
        total = 0
        for part in own:
            assert (part.host, part.timestamp, part.level) == ("laptop", folder.name, 0)
            (slot,) = server.path("/srv/amanda/vtapes").glob(f"slot*/00000.{part.label}")
            assert parse_volume_stamp(slot.read_bytes()) > folder.name
            ((path, header),) = read_headers(slot.parent, f"{part.file:05d}.*").items()
            assert header.kind is FileKind.PART
            assert (header.part, header.size) == (part.part, sizes[disk])
            assert header.is_of("laptop", disk, folder.name)
            assert replace(parse_form(header), extent=None) == form
            assert is_left_out(header) == (disk == "/srv/pa ck")
            total += path.stat().st_size - HEADER_BYTES
        assert total == sizes[disk]


def test_what_is_written_over_is_not_found_any_more(bare_lab: Lab) -> None:
    """With the label that it is given again, a volume loses what was on it."""
    server = bare_lab.server
    conf = server.read(CONF).replace("tapecycle 20 tapes", "tapecycle 1 tapes")
    server.write(CONF, conf.replace('"num-slot" "20"', '"num-slot" "1"'), owner="backup")
    bare_lab.client.add_tree("/srv/docs")
    server.add_dle("laptop", "/srv/docs")
    server.amdump("laptop")
    (first,) = parse_found(server.amanda("amadmin", "daily", "find").stdout)
    server.amanda("amadmin", "daily", "force", "laptop", "/srv/docs")
    server.amdump("laptop")
    (second,) = parse_found(server.amanda("amadmin", "daily", "find").stdout)
    assert (first.label, first.file) == (second.label, second.file)
    assert first.timestamp < second.timestamp
    (slot,) = server.path("/srv/amanda/vtapes").glob(f"slot*/00000.{first.label}")
    assert parse_volume_stamp(slot.read_bytes()) == second.timestamp
