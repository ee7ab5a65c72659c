"""What dumps are to be like for those who want files back: dumptypes, levels, parts, volumes."""

from collections.abc import Sequence

from tests.e2e.office import CONF

from lab import AmandaServer

LINES = {  # of the lab's amanda.conf, and what they become
    'tapetype "VTAPE"': 'tapetype "SMALL"',
    "runtapes 2": "runtapes 9",
    "    use 500 mbytes": "    use 500 mbytes\n    chunksize 1 mbytes",
    '    property "auto-create-slot" "yes"': (
        '    property "auto-create-slot" "yes"\n'
        '    device-property "MAX_VOLUME_USAGE" "{volume}k"\n'
        '    device-property "ENFORCE_MAX_VOLUME_USAGE" "true"'
    ),
}
SMALL = """
define tapetype SMALL {{
    length {volume} kbytes
    filemark 4 kbytes
    part-size 1 mbytes
}}
"""
STRANGE = 2  # of amdump: a client's program said what Amanda does not know
VOLUME = 2150  # kB: two parts and what describes them


def cut_small(server: AmandaServer, volume: int = VOLUME) -> None:
    """Let a dump lie in chunks of 1 MB, and in parts of 1 MB on volumes of so many kB."""
    conf = server.read(CONF)
    for line, instead in LINES.items():
        assert conf.count(f"\n{line}") == 1, line
        conf = conf.replace(f"\n{line}", "\n" + instead.format(volume=volume))
    server.write(CONF, conf + SMALL.format(volume=volume), owner="backup")


def add_dumptype(server: AmandaServer, name: str, parent: str, *lines: str) -> None:
    """Define a dumptype that is `parent` but for these lines."""
    body = "".join(f"    {line}\n" for line in (parent, *lines))
    server.append(CONF, f"define dumptype {name} {{\n{body}}}\n", owner="backup")


def dump_held(server: AmandaServer, *hosts: str) -> None:
    """Dump these hosts into the holding disk, and leave the dumps there; strange ones, too."""
    argv = ("amdump", "daily", "--no-taper", "--exact-match", *hosts)
    done = server.amanda(*argv, check=False)
    assert done.returncode in {0, STRANGE}, (done, server.run_logs())


def flush(server: AmandaServer) -> None:
    """Write all that is held to volumes."""
    server.amanda("amflush", "-b", "-f", "daily")


def force_next_level(server: AmandaServer, host: str, disks: Sequence[str]) -> None:
    """Let the next dump of each of these disks have a level more than the last one.

    After a full it is 1 in any case. amadmin's force-bump does so whatever that saves (planner.c).
    """
    for disk in disks:
        server.amanda("amadmin", "daily", "force-bump", f"={host}", f"={disk}")
