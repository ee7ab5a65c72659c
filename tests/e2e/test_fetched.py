"""Dumps on volumes that are no virtual tapes of chg-disk's come through the real amfetchdump."""

import json

from lab import Lab

CONF = "/etc/amanda/daily/amanda.conf"
CHANGER = 'tpchanger "chg-multi:{file:/srv/amanda/volumes/a,file:/srv/amanda/volumes/b}"'
DISK = "/srv/do cs"
ARCHIVE = "/srv/out/archive"

# on the server, as the Amanda user: DISK ARCHIVE TIMESTAMP...; prints what it found
READ = """
import json, resource, sys
from asyncamanda.core.model import DleVerdict, DumpState
from asyncamanda.server.amanda.commands import parse_settings, plan_config
from asyncamanda.core.restore.recorded import RecordedDump
from asyncamanda.server.restore.serve import LEAST_MEMORY
from asyncamanda.server.restore.reading import open_chain, plan_restore, write_restore
from asyncamanda.server.restore.sinks import Sink
from asyncamanda.server.restore.source import Source
from asyncamanda.system.clock import parse_local_stamp
from asyncamanda.system.programs import run_program

resource.setrlimit(resource.RLIMIT_AS, (LEAST_MEMORY, LEAST_MEMORY))
settings = parse_settings("daily", run_program(plan_config("daily"), encoding="utf-8"))
dumps = []
_, disk, place, *stamps = sys.argv
for level, stamp in enumerate(stamps):
    at = parse_local_stamp(stamp)
    verdict = DleVerdict("laptop", disk, stamp, DumpState.STORED, level, dumped_at=at)
    dumps.append(RecordedDump(verdict))
source = Source(settings=settings, host="laptop", dles=[], dumps=dumps)
with open_chain(source, disk) as chain, open(place, "wb") as archive:
    selection = plan_restore(chain, [b""])
    missing = []
    write_restore(chain, selection, Sink(archive.fileno()), lambda *it: missing.append(repr(it)))
    where = [image.files.where for image in chain.images]
    print(json.dumps({"where": where, "missing": missing, "names": sorted(
        name.decode() for name, _ in chain.read_head().walk())}))
"""


def test_a_chain_on_other_volumes_is_read_through_amfetchdump(lab: Lab) -> None:
    """A full in parts and compressed, and what came after it; each is what its header says."""
    server, client = lab.server, lab.client
    conf = server.read(CONF).replace('tpchanger "vtapes"', CHANGER, 1)
    conf = conf.replace(
        "    length 500 mbytes\n", "    length 500 mbytes\n    part_size 1 mbytes\n"
    )
    conf = conf.replace("compress none", "compress client fast", 1)
    server.write(CONF, conf, owner="backup")
    for volume in "ab":
        server.make_directory(f"/srv/amanda/volumes/{volume}/data", owner="backup")
    client.add_tree(DISK, files=2, bytes_each=1_200_000)
    server.add_dle("laptop", DISK)
    server.amdump("laptop")
    client.write(f"{DISK}/new", "new")
    server.amdump("laptop")
    stamps = sorted({dump.timestamp for dump in server.stored("laptop", DISK)})
    assert len(stamps) == 2

    server.make_directory("/srv/out", owner="backup")
    argv = ["/opt/asyncamanda/bin/python", "-c", READ, DISK, ARCHIVE, *stamps]
    found = json.loads(server.run(argv, user="backup").stdout)
    assert found["missing"] == []
    assert "new" in found["names"]
    assert all(where.startswith("volume DAILY-") for where in found["where"])
    server.make_directory("/srv/back")
    server.run(["tar", "-xf", ARCHIVE, "-C", "/srv/back"])
    there = client.path(DISK)
    for path in there.rglob("*"):
        if path.is_file():
            back = server.path("/srv/back") / path.relative_to(there)
            assert back.read_bytes() == path.read_bytes()
