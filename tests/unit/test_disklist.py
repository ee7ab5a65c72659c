"""The disklist, as amadmin reports it."""

from datetime import time
from pathlib import Path

import pytest

from asyncamanda.core.amanda.disklist import (
    Dle,
    find_included,
    join_disklist,
    narrow_disklist,
    order_hosts,
    parse_disklist,
    parse_dles,
)
from asyncamanda.core.amanda.filters import Filters
from asyncamanda.server.enrol.disklist_file import is_beside_amanda_conf

# as Amanda 3.5.1 prints it, without the settings that nothing here reads
BLOCK = """\
line {line} (/etc/amanda/daily/disklist):
    host {host}:
        interface default
    disk {disk}:
{device}        program "GNUTAR"
        COMMENT             "a machine: it comes and goes"
        PROGRAM             "GNUTAR"
        SERVER-CUSTOM-COMPRESS "{server_custom}"
        CLIENT-CUSTOM-COMPRESS "{client_custom}"
        SERVER-ENCRYPT      "{server_encrypt}"
        CLIENT-ENCRYPT      "{client_encrypt}"
        SSH-KEYS            ""
        AUTH                "{auth}"
        EXCLUDE             LIST "disk x:"
        EXCLUDE             FILE
        STARTTIME           000
        STRATEGY            {strategy}
        ESTIMATE            CLIENT
        COMPRESS            {compress}
        ENCRYPT             {encrypt}
        SERVER-DECRYPT-OPTION "-d"
        CLIENT-DECRYPT-OPTION "-x \\"y\\""
        COMPRATE            0.50000 0.50000
        HOLDINGDISK         AUTO
        KENCRYPT            no
        IGNORE              {ignore}
        APPLICATION         {application}
        spindle -1

"""
USUAL = {
    "line": "1",
    "host": "laptop",
    "disk": "/home",
    "device": "",
    "server_custom": "",
    "client_custom": "",
    "server_encrypt": "",
    "client_encrypt": "",
    "auth": "ssh",
    "strategy": "STANDARD",
    "compress": "NONE",
    "encrypt": "NONE",
    "ignore": "no",
    "application": "",
}
HOME = Dle("laptop", "/home", "", "ssh", "", Filters(), "GNUTAR")


def block(**settings: str) -> str:
    """Return what amadmin prints of a DLE with these settings."""
    return BLOCK.format(**(USUAL | settings))


def one(**settings: str) -> Dle:
    """Return what is read of a DLE with these settings."""
    (dle,) = parse_disklist(block(**settings))
    return dle


@pytest.mark.parametrize(
    ("text", "dles"),
    [
        ("", []),
        ("\n  \n", []),
        ("laptop /home\ntablet /srv\n", [("laptop", "/home"), ("tablet", "/srv")]),
        ("b /2\na /1\na /0\n", [("b", "/2"), ("a", "/1"), ("a", "/0")]),
        ("laptop /srv/d 3\n", [("laptop", "/srv/d 3")]),
        ('laptop /srv/"q"\n', [("laptop", '/srv/"q"')]),
        ("laptop C:\\ana\n", [("laptop", "C:\\ana")]),
        ("amadmin:\nlaptop\n", []),
    ],
)
def test_the_disklist_as_amadmin_lists_it(text: str, dles: list[tuple[str, str]]) -> None:
    """In its order, with the names as they are; what is not a pair does not count."""
    assert parse_dles(text) == dles


def test_a_dle_that_is_dumped_as_it_is() -> None:
    """Nothing parks it, nothing filters it; its device is its name."""
    assert one() == HOME
    assert not HOME.is_parked


@pytest.mark.parametrize(
    ("named", "application"),
    [('""', ""), ('"amgtar"', "amgtar"), ('"custom(DUMPTYPE:custom(laptop:_srv).1).2"', "")],
)
def test_the_application_of_a_dle(named: str, application: str) -> None:
    """One that is defined in the DLE itself has a number that changes with the disklist."""
    dle = one(application=named)
    assert (dle.program, dle.application) == ("GNUTAR", application)


@pytest.mark.parametrize(
    ("settings", "parked"),
    [
        ({"ignore": "yes"}, "ignore"),
        ({"strategy": "SKIP"}, "strategy skip"),
        ({"ignore": "yes", "strategy": "SKIP"}, "ignore"),
        ({"strategy": "NOFULL"}, ""),
        ({"strategy": "INCRONLY"}, ""),
        ({"application": '"IGNORE yes"'}, ""),
        ({"auth": "IGNORE              yes"}, ""),
        ({"server_custom": "/bin/SKIP"}, ""),
    ],
)
def test_a_dle_that_amanda_leaves_out(settings: dict[str, str], parked: str) -> None:
    """By `ignore` or by strategy `skip`, and by nothing else."""
    dle = one(**settings)
    assert (dle.parked, dle.is_parked) == (parked, bool(parked))


@pytest.mark.parametrize(
    ("settings", "filters"),
    [
        ({"compress": "CLIENT FAST"}, Filters("client fast")),
        ({"compress": "SERVER BEST", "server_custom": "/bin/x"}, Filters("server best")),
        (
            {"compress": "SERVER CUSTOM", "server_custom": "/bin/my zip", "client_custom": "/no"},
            Filters("server custom", "/bin/my zip"),
        ),
        (
            {"compress": "CLIENT CUSTOM", "server_custom": "/no", "client_custom": "/bin/zip"},
            Filters("client custom", "/bin/zip"),
        ),
        ({"server_encrypt": "/no", "client_encrypt": "/no"}, Filters()),
        (
            {"encrypt": "SERVER", "server_encrypt": "/bin/e", "client_encrypt": "/no"},
            Filters("none", "", "server", "/bin/e", "-d"),
        ),
        (
            {"encrypt": "CLIENT", "server_encrypt": "/no", "client_encrypt": "/bin/e"},
            Filters("none", "", "client", "/bin/e", '-x "y"'),
        ),
    ],
)
def test_the_filters_that_are_in_force(settings: dict[str, str], filters: Filters) -> None:
    """A program that is set, but not used by this kind, is none of them."""
    assert one(**settings).filters == filters


@pytest.mark.parametrize(
    "disk", ["/srv/d 3", '/srv/"q"', "/x:", "host y:", "name  ", "AUTH x", "/caf\udce9", "é"]
)
def test_names_are_taken_as_they_are(disk: str) -> None:
    """amadmin quotes neither a disk nor a device."""
    dle = one(disk=disk, device=f"        device {disk}\n")
    assert (dle.disk, dle.device) == (disk, disk)


def test_each_dle_has_its_own_settings() -> None:
    """Nothing of one is taken for the next one's."""
    text = (
        block(ignore="yes", device="        device /a\n")
        + block(line="2", disk="named", auth="bsdtcp")
        + block(line="5", host="tower", strategy="SKIP", compress="CLIENT FAST")
    )
    assert parse_disklist(text) == [
        Dle("laptop", "/home", "/a", "ssh", "ignore", Filters(), "GNUTAR"),
        Dle("laptop", "named", "", "bsdtcp", "", Filters(), "GNUTAR"),
        Dle("tower", "/home", "", "ssh", "strategy skip", Filters("client fast"), "GNUTAR"),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n\n",
        "Argument '=lap' matches neither a host nor a disk.\n",
        "    host laptop:\n    disk /home:\n",
        '        AUTH "ssh"\n',
        '    disk /home:\n        AUTH "ssh"\n',
    ],
)
def test_what_tells_of_no_dle(text: str) -> None:
    """It is none."""
    assert parse_disklist(text) == []


def test_the_list_of_pairs_says_what_there_is() -> None:
    """What has no settings counts as one that is dumped; settings of no pair count for nothing."""
    parked = Dle("laptop", "/parked", parked="ignore")
    stray = Dle("laptop", "/stray", parked="ignore")
    pairs = [("tower", "/odd"), ("laptop", "/parked"), ("laptop", "/home")]
    found = join_disklist(pairs, [HOME, parked, stray])
    assert list(found.items()) == [
        (("tower", "/odd"), Dle("tower", "/odd")),
        (("laptop", "/parked"), parked),
        (("laptop", "/home"), HOME),
    ]


A_HAS_B = Dle("a", "b")
A_HAS_C_BY_DEVICE = Dle("a", "/x", "C")
B_HAS_A = Dle("b", "a")
A_HAS_A = Dle("a", "a")


@pytest.mark.parametrize(
    ("hosts", "dles", "ordered", "left"),
    [
        ("abc", [HOME], "abc", ""),
        ("abc", [], "abc", ""),
        ("abc", [A_HAS_A], "abc", ""),
        ("abc", [A_HAS_B], "bac", ""),
        ("ac", [A_HAS_C_BY_DEVICE], "ca", ""),
        ("ca", [A_HAS_C_BY_DEVICE], "ca", ""),
        ("ab", [A_HAS_B, B_HAS_A], "a", "b"),
        ("ab", [Dle("A", "B"), B_HAS_A], "a", "b"),
        ("abc", [A_HAS_B, B_HAS_A], "ac", "b"),
        ("abc", [A_HAS_B, A_HAS_C_BY_DEVICE], "bca", ""),
        ("cab", [A_HAS_B, Dle("b", "c"), Dle("c", "a")], "acb", ""),
        ("", [A_HAS_B], "", ""),
    ],
)
def test_hosts_are_named_so_that_none_is_taken_for_a_disk(
    hosts: str, dles: list[Dle], ordered: str, left: str
) -> None:
    """None follows a host that has a disk or a device of its name; what fits nowhere waits."""
    assert order_hosts(hosts, dles) == (tuple(ordered), tuple(left))


WHOLE = """\
# laptop /commented roaming
laptop /home roaming
laptop "/srv/a {b} #1" roaming 1 local
tower /home roaming   # laptop
tower /srv {
    roaming
    exclude "laptop"
    exclude append "./}"
} 2
laptop /big /srv/big {   # a device, and a dumptype of its own
    roaming
laptop-like "words"
    priority high
} -1 local

  Laptop /indented roaming
laptop2 /home roaming
"""


@pytest.mark.parametrize(
    ("hosts", "kept"),
    [
        ({"laptop"}, (1, 2, 9, 10, 11, 12, 13, 15)),
        ({"tower"}, (3, 4, 5, 6, 7, 8)),
        ({"laptop2"}, (16,)),
        ({"laptop2", "tower"}, (3, 4, 5, 6, 7, 8, 16)),
        ({"nobody"}, ()),
        (set(), ()),
    ],
)
def test_narrowed_disklist_has_the_lines_of_its_hosts_as_they_are(
    hosts: set[str], kept: tuple[int, ...]
) -> None:
    """A dumptype in braces belongs to its DLE, whatever its lines begin with."""
    lines = WHOLE.split("\n")
    assert narrow_disklist(lines, hosts) == "".join(f"{lines[at]}\n" for at in kept)


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("includefile more", "more"),
        ('  includefile  "more of it" # here', "more of it"),
        ("includefile", None),
        ("# includefile more", None),
        ("laptop includefile roaming", None),
        ("", None),
    ],
)
def test_included_file_is_found(line: str, name: str | None) -> None:
    """Only where the line begins with the word."""
    assert find_included(line) == name


@pytest.mark.parametrize(
    ("said", "at"),
    [
        ("000", None),
        ("2230", time(22, 30)),
        ("030", time(0, 30)),
        ("2400", None),
        ("99", None),
        ("", None),
        ("²", None),
    ],
)
def test_a_time_of_day_before_which_amanda_waits(said: str, at: time | None) -> None:
    """As hours and minutes; 000 is none, and so is anything else."""
    text = block().replace("STARTTIME           000", f"STARTTIME           {said}")
    assert [dle.starttime for dle in parse_disklist(text)] == [at]


@pytest.mark.parametrize(("said", "is_never"), [("NEVER", True), ("AUTO", False)])
def test_a_disk_that_is_never_held(said: str, is_never: bool) -> None:
    """It goes to a volume each time."""
    text = block().replace("HOLDINGDISK         AUTO", f"HOLDINGDISK         {said}")
    assert [dle.is_never_held for dle in parse_disklist(text)] == [is_never]


@pytest.mark.parametrize(
    ("path", "is_beside"),
    [
        ("/etc/amanda/daily/disklist", True),
        ("/etc/amanda/../shadow", False),
        ("/etc/amanda/daily/../disklist", False),
        ("/etc/amanda/disklist", False),
        ("/etc/amanda/daily/lists/disklist", False),
        ("/var/lib/amanda/disklist", False),
    ],
)
def test_root_is_itself_beside_an_amanda_conf_alone(path: str, is_beside: bool) -> None:
    """Whoever writes amanda.conf could else have root read, and write, a file of root's in /etc."""
    assert is_beside_amanda_conf(Path(path)) == is_beside
