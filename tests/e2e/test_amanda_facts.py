"""What our code takes for granted of Amanda, asked of the real one."""

import random

from tests.amandates import parse_amandates
from tests.e2e.laptop import COMMAND, ask, configure, wait_for_bytes

from asyncamanda.core.amanda.client_conf import ARGV, parse_client_conf
from asyncamanda.core.amanda.config import parse_config
from asyncamanda.core.amanda.curinfo import TapedLevel, parse_curinfo, sanitise_name
from asyncamanda.core.amanda.disklist import GNUTAR, Dle, parse_disklist, parse_dles
from asyncamanda.core.amanda.filters import Filters
from asyncamanda.core.amanda.header import HEADER_BYTES, FileKind, parse_header
from asyncamanda.core.amanda.quoting import quote, unquote
from asyncamanda.core.amanda.runlog import parse_run_log
from asyncamanda.core.amanda.trace import find_start
from asyncamanda.core.doctor.rights import PathKind, Seen
from asyncamanda.core.doctor.tar import AMGTAR as AMGTAR_KEY
from asyncamanda.core.doctor.tar import RUNTAR as RUNTAR_KEY
from asyncamanda.core.doctor.tar import Security
from asyncamanda.system.clock import parse_local_stamp, read_local
from lab import Host, Lab

HOSTILE = [
    "/srv/tab\there",
    '/srv/quo"te',
    "/srv/back\\slash",
    "/srv/colon:x",
    "/srv/ünï",
    "/srv/it's",
]

# each name as hex in, the real quote_string() and unquote_string() of it as hex out
PERL = r"""
BEGIN { push @INC, glob("/usr/lib/*/amanda/perl"), "/usr/lib/amanda/perl" }
use Amanda::Util;
while (<STDIN>) {
    chomp;
    my $name = pack("H*", $_);
    print unpack("H*", Amanda::Util::quote_string($name)), " ",
          unpack("H*", Amanda::Util::unquote_string($name)), "\n";
}
"""


def _hex(name: str) -> str:
    return name.encode("utf-8", "surrogateescape").hex()


def _ask_amanda(host: Host, names: list[str]) -> list[list[str]]:
    """Return [quoted, unquoted] for each name, by Amanda's own functions."""
    given = "".join(f"{_hex(name)}\n" for name in names)
    printed = host.run(["perl", "-e", PERL], stdin=given).stdout.splitlines()
    return [
        [bytes.fromhex(word).decode("utf-8", "surrogateescape") for word in line.split(" ")]
        for line in printed
    ]


def test_names_are_quoted_as_amanda_quotes_them(bare_lab: Lab) -> None:
    """Every byte alone, and random names, come out as from Amanda's quote_string()."""
    chance = random.Random(2014)  # noqa: S311 - names, not secrets
    every = [bytes([byte]) for byte in range(1, 256)]
    mixed = [
        bytes(chance.choices(rb'ab "\:' + b"'\n\t\x7f\xc3\xbc\xff", k=chance.randrange(1, 12)))
        for _ in range(500)
    ]
    names = [name.decode("utf-8", "surrogateescape") for name in every + mixed]
    theirs = [quoted for quoted, _ in _ask_amanda(bare_lab.server, names)]
    assert [quote(name) for name in names] == theirs
    back = [unquoted for _, unquoted in _ask_amanda(bare_lab.server, theirs)]
    assert [unquote(text) for text in theirs] == back == names


def test_hostile_disks_are_read_from_what_amanda_writes(lab: Lab) -> None:
    """Disks with quotes, tabs, colons and umlauts are dumped, and read from amandates by name.

    One at a time: of two that end at once amandates may lose one. Amanda's client unlocks it before
    it writes what it has in its buffer (finish_amandates() in amandates.c).
    """
    conf = "/etc/amanda/daily/amanda.conf"
    two_at_once = lab.server.read(conf)
    one_at_once = two_at_once.replace("\nmaxdumps 2 ", "\nmaxdumps 1 ")
    assert one_at_once != two_at_once
    lab.server.write(conf, one_at_once, owner="backup")
    for disk in HOSTILE:
        lab.client.add_tree(disk, files=1)
        lab.server.add_dle("laptop", disk)
    configure(lab.client, command=COMMAND)
    run = ask(lab.client, "run")
    assert run.returncode == 0, run.stderr + lab.client.amandates
    records, rejected = parse_amandates(lab.client.amandates)
    assert sorted(record.disk for record in records) == sorted(HOSTILE)
    assert rejected.count == 0


RUNTAR = "exec /usr/lib/amanda/runtar NOCONFIG tar --create --file - --directory /etc hosts"


def test_amanda_security_conf_is_read_as_runtar_reads_it(bare_lab: Lab) -> None:
    """Which line lets runtar start tar as root, and whose that file and its folder have to be."""
    laptop, path = bare_lab.client, "/etc/amanda-security.conf"
    built_in = parse_client_conf(laptop.run(ARGV).stdout)["GNUTAR"]
    tar = laptop.run(["realpath", built_in]).stdout.strip()

    def starts() -> bool:
        argv = ["sh", "-c", f"{RUNTAR} >/dev/null"]
        return laptop.run(argv, user="backup", check=False).returncode == 0

    line = f"{RUNTAR_KEY}={tar}\n"
    heads = [line.upper().replace(tar.upper(), tar), f"x\n\n{RUNTAR_KEY}=/nope\n{line}"]
    tails = [line.rstrip(), f" {line}", f"#{line}", line.replace("=", " =")]
    ends = [line.replace(tar, end) for end in (f" {tar}", f"{tar} ", f"{tar}\r", "/nope")]
    verdicts = set()
    for text in ["", line, *heads, *tails, *ends, f"{AMGTAR_KEY}={tar}\n"]:
        laptop.write(path, text)
        allowed = Security(Seen(path, PathKind.FILE), (), text).allows(RUNTAR_KEY, built_in, tar)
        assert starts() == allowed, text
        verdicts.add(allowed)
    assert verdicts == {True, False}
    laptop.write(path, line)
    for place, mode in ((path, "644"), ("/etc", "755")):
        for change in (f"chmod g+w {place}", f"chown backup {place}"):
            laptop.run(["sh", "-c", change])
            assert not starts(), change
            laptop.run(["sh", "-c", f"chown root {place}; chmod {mode} {place}"])
            assert starts()


def test_the_disklist_is_listed_with_names_as_they_are(bare_lab: Lab) -> None:
    """`amadmin dles` quotes nothing, whatever is in a name."""
    for disk in HOSTILE:
        bare_lab.server.add_dle("laptop", disk)
    printed = bare_lab.server.amanda("amadmin", "daily", "dles").stdout
    assert parse_dles(printed) == [("laptop", disk) for disk in HOSTILE]


DUMPTYPES = """
define dumptype parked-1 {
    roaming
    ignore yes
}
define dumptype parked-2 {
    roaming
    strategy skip
}
define dumptype skips {
    roaming
    skip-incr yes
}
define dumptype fast {
    roaming-amgtar
    compress client fast
    server-custom-compress "/usr/bin/none"
}
define dumptype custom {
    roaming
    compress server custom
    server-custom-compress "/usr/bin/my zip"
    client-custom-compress "/usr/bin/none"
}
define dumptype crypt {
    roaming
    auth "bsdtcp"
    encrypt client
    client-encrypt "/usr/sbin/crypt"
    client-decrypt-option "-x \\"y\\""
    server-encrypt "/usr/bin/none"
}
"""


def test_the_disklist_tells_the_settings_of_each_dle(bare_lab: Lab) -> None:
    """What parks it, what its dumps go through, its device; names as they are."""
    server = bare_lab.server
    server.append("/etc/amanda/daily/amanda.conf", DUMPTYPES, owner="backup")
    kinds = {
        "parked-1": Dle("laptop", "/srv/1", "", "ssh", "ignore", Filters(), GNUTAR),
        "parked-2": Dle("laptop", "/srv/2", "", "ssh", "strategy skip", Filters(), GNUTAR),
        "skips": Dle("laptop", "/srv/3", "", "ssh", "", Filters(), GNUTAR),
        "fast": Dle(
            "laptop", "/srv/4", "", "ssh", "", Filters("client fast"), "APPLICATION", "amgtar"
        ),
        "custom": Dle(
            "laptop", "/srv/5", "", "ssh", "", Filters("server custom", "/usr/bin/my zip"), GNUTAR
        ),
        "crypt": Dle(
            "tower",
            "/x",
            auth="bsdtcp",
            filters=Filters("none", "", "client", "/usr/sbin/crypt", '-x "y"'),
            program=GNUTAR,
        ),
    }
    for dumptype, dle in kinds.items():
        server.add_dle(dle.host, dle.disk, dumptype)
    for disk in HOSTILE:
        server.add_dle("laptop", disk)
    server.append(
        "/etc/amanda/daily/disklist", 'laptop named "/srv/a b:" roaming\n', owner="backup"
    )
    printed = server.amanda("amadmin", "daily", "disklist").stdout
    assert parse_disklist(printed) == [
        *kinds.values(),
        *(Dle("laptop", disk, "", "ssh", "", Filters(), GNUTAR) for disk in HOSTILE),
        Dle("laptop", "named", "/srv/a b:", "ssh", "", Filters(), GNUTAR),
    ]
    listed = parse_dles(server.amanda("amadmin", "daily", "dles").stdout)
    assert listed == [(dle.host, dle.disk) for dle in parse_disklist(printed)]


def test_newer_full_leaves_older_levels_behind(lab: Lab) -> None:
    """amandates keeps a level 1 that is older than the full: the newest over all levels counts."""
    lab.client.add_tree("/srv/docs")
    lab.server.add_dle("laptop", "/srv/docs")
    for force in (False, False, True):
        if force:
            lab.server.amanda("amadmin", "daily", "force", "laptop", "/srv/docs")
        lab.server.amdump("laptop")
    records, _ = parse_amandates(lab.client.amandates)
    by_level = {record.level: record.started_at for record in records}
    assert sorted(by_level) == [0, 1]
    assert by_level[0] > by_level[1]


def test_only_holding_disks_that_are_used_count(bare_lab: Lab) -> None:
    """One that is only defined has no room for anybody: amgetconf and amadmin agree on that."""
    server = bare_lab.server
    words = (
        'define holdingdisk unused {\n directory "/srv/u"\n}\nholdingdisk third {\n use -1 gb\n}\n'
    )
    server.append("/etc/amanda/daily/amanda.conf", words, owner="backup")
    config = parse_config(server.amanda("amadmin", "daily", "config").stdout)
    used = server.amanda("amgetconf", "daily", "holdingdisk").stdout.split()
    assert used == ["holding", "third"] == [*config.values["HOLDINGDISK"]]
    assert ("HOLDINGDISK", "unused") in config.blocks
    assert config.block_value("HOLDINGDISK", "third", "USE") == "-1048576K"
    assert config.count_slots() == 20


def test_amandas_own_files_are_read_as_it_writes_them(bare_lab: Lab) -> None:
    """The configuration's folders; a held dump's header; on a volume its part's, and curinfo."""
    server, disk = bare_lab.server, "/srv/a b"
    bare_lab.client.add_tree(disk)
    server.add_dle("laptop", disk)
    config = parse_config(server.amanda("amadmin", "daily", "config").stdout)
    assert config.value("LOGDIR") == "/var/lib/amanda/daily/log"
    assert config.value("USETIMESTAMPS") == "yes"
    assert config.values["HOLDINGDISK"] == ("holding",)
    holding = config.block_value("HOLDINGDISK", "holding", "DIRECTORY")
    assert config.block_value("HOLDINGDISK", "holding", "USE") == "512000K"
    (vtapes,) = config.find_vtapes()

    server.amanda("amdump", "daily", "--no-taper", "--exact-match", "laptop")
    (log,) = (parse_run_log(text) for text in server.run_logs())
    assert log
    assert log.timestamp
    assert log.hosts == {"laptop"}
    started = find_start(server.read(f"/var/lib/amanda/daily/log/amdump.{log.timestamp}"))
    assert started
    assert abs((read_local(*started) - parse_local_stamp(log.timestamp)).total_seconds()) < 10
    (held,) = server.path(holding).glob("*/laptop._srv_a b.0")
    header = parse_header(held.read_bytes())
    assert header
    assert (header.kind, header.level, header.is_partial) == (FileKind.WHOLE, 0, False)
    assert header.is_of("laptop", disk, log.timestamp)
    assert header.size == held.stat().st_size - HEADER_BYTES

    server.amanda("amflush", "-b", "-f", "daily")
    flushed = parse_run_log(server.run_logs()[-1])
    assert flushed
    ((label, number),) = flushed.places["laptop", disk, log.timestamp]
    (taped,) = server.path(vtapes).glob(f"slot*/{number:05d}.*")
    assert (taped.parent / f"00000.{label}").exists()
    part = parse_header(taped.read_bytes())
    assert part
    assert (part.kind, part.part, part.level) == (FileKind.PART, 1, 0)
    assert part.is_of("laptop", disk, log.timestamp)
    assert part.size == header.size == taped.stat().st_size - HEADER_BYTES
    folder = config.value("INFOFILE")
    info = server.read(f"{folder}/{sanitise_name('laptop')}/{sanitise_name(disk)}/info")
    date = int(parse_local_stamp(log.timestamp).timestamp())
    assert parse_curinfo(info) == (TapedLevel(0, date, label, number),)


def test_a_cut_dump_in_the_holding_disk_is_partial(bare_lab: Lab) -> None:
    """Amanda keeps what it got, under a final name, and says so in the header."""
    server, client = bare_lab.server, bare_lab.client
    client.add_tree("/srv/docs", files=1, bytes_each=2_000_000)
    server.add_dle("laptop", "/srv/docs")
    conf = server.read("/etc/amanda/daily/amanda.conf").replace("retry-dump 5", "retry-dump 1")
    server.write("/etc/amanda/daily/amanda.conf", conf, owner="backup")
    client.slow(2_000_000)
    argv = ["amdump", "daily", "--no-taper", "--exact-match", "laptop"]
    dump = server.start(argv, user="backup")
    holding = server.path("/srv/amanda/holding")
    wait_for_bytes(holding, "laptop")
    client.cut()
    with server.hung_amdump_freed():
        dump.communicate(timeout=120)
    (held,) = holding.glob("*/laptop._srv_docs.0")
    header = parse_header(held.read_bytes())
    assert header
    assert header.is_partial
