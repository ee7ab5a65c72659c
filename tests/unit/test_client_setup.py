"""What `asyncamanda setup` makes of its arguments, and the texts that it writes and prints."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from asyncamanda.client.setup.clienttoml import check_present, render_client_toml
from asyncamanda.client.setup.hostkey import (
    KnownHostKey,
    Place,
    choose_key,
    name_file,
    render_known,
)
from asyncamanda.client.setup.keys import plan_via
from asyncamanda.client.setup.options import Said, SetupOptions, read_options
from asyncamanda.client.setup.probe import NotYet, Ready, judge_refused, wait_for
from asyncamanda.config.client import ClientConfig, parse_client_config
from asyncamanda.core.amanda.config import parse_config
from asyncamanda.core.amanda.disklist import Dle
from asyncamanda.core.protocol.messages import Refused
from asyncamanda.core.ssh.argv import Target
from asyncamanda.core.ssh.enrolling import Enrolling, render_enroll, render_rename
from asyncamanda.core.ssh.probe_rate import ProbeReception, plan_nap
from asyncamanda.core.ssh.publickey import PublicKey
from asyncamanda.errors import BadDataError, ConfigurationError, Exit, RefusedError, UsageError
from asyncamanda.server.enrol.disklist import (
    Configured,
    check_dumptype,
    check_new_disks,
    describe_kept,
    find_bases,
    find_missing,
    render_dles,
)
from asyncamanda.server.enrol.disklist_file import DisklistFile

GOOD = Said("amanda.example.com", "laptop")
FINGERPRINT = "SHA256:" + "aB3+/" * 8 + "abc"


def read(said: Said) -> SetupOptions:
    """Return the options on a machine that has /home and "/srv/a b"."""
    return read_options(said, {"/home", "/srv/a b"}.__contains__)


# -- the arguments


def test_what_is_not_said_is_the_usual() -> None:
    """The user at the server, too."""
    options = read(GOOD)
    assert options.server == Target("amanda.example.com", user="backup")
    assert (options.disks, options.interval, options.via, options.wait) == ((), None, None, None)


def test_what_is_said_counts() -> None:
    """A disk that is named twice is one."""
    disks = ("/home", "/srv/a b", "/home")
    options = read(replace(GOOD, server="me@[::1]:2222", disks=disks, via="root@x", wait="5m"))
    assert options.server == Target("::1", user="me", port=2222)
    assert options.disks == ("/home", "/srv/a b")
    assert (options.via, options.wait) == (Target("x", user="root"), timedelta(minutes=5))


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (replace(GOOD, server="-oProxyCommand=x"), "SERVER: "),
        (replace(GOOD, server="a:hunter2@x"), "SERVER: no password"),
        (replace(GOOD, via="a:hunter2@x"), "--via: no password"),
        (replace(GOOD, name="a b"), "--name: "),
        (replace(GOOD, name=""), "--name: "),
        (replace(GOOD, amanda_config="../x"), "--amanda-config: "),
        (replace(GOOD, disks=("home",)), "--disk: 'home' is not a path"),
        (replace(GOOD, disks=("/a\n/b",)), r"--disk: '/a\n/b' is not a path"),
        (replace(GOOD, disks=("/nosuch",)), "--disk: /nosuch is not on this machine"),
        (replace(GOOD, interval="often"), "--interval: "),
        (replace(GOOD, wait="0"), "--wait: "),
        (replace(GOOD, fingerprint=FINGERPRINT[:-1]), "--fingerprint: "),
        (replace(GOOD, fingerprint=FINGERPRINT + "="), "--fingerprint: "),
        (replace(GOOD, fingerprint="MD5:" + "0" * 43), "--fingerprint: "),
    ],
)
def test_a_mistake_is_told(said: Said, words: str) -> None:
    """With the option that it is in, and no password."""
    with pytest.raises(UsageError) as caught:
        read(said)
    assert words in caught.value.message
    assert "hunter2" not in caught.value.message


def test_all_mistakes_are_told_at_once() -> None:
    """A line each."""
    with pytest.raises(UsageError) as caught:
        read(Said("", "", "", ("x", "/nosuch"), ("/x",), "x", "x", "", "x"))
    assert len(caught.value.message.splitlines()) == 10


# -- the line for the server


@pytest.mark.parametrize("disk", ["/home", "/srv/a b", "/srv/it's", '/srv/"q" $(x);`y`', "/srv/ü"])
def test_the_line_for_the_server_survives_a_shell(disk: str) -> None:
    """Whatever a disk is called; it is one line."""
    line = render_enroll(Enrolling("laptop", "ssh-ed25519 AAAA it's me", (disk,), "daily"))
    assert "\n" not in line
    assert shlex.split(line) == [
        *("sudo", "asyncamanda", "server", "enroll", "laptop", "--amanda-config", "daily"),
        *("--disk", disk, "--setup", "--key", "ssh-ed25519 AAAA it's me"),
    ]


def test_the_line_says_only_what_is_known() -> None:
    """Root needs no sudo, and the server may have one configuration only."""
    line = render_enroll(Enrolling("laptop", "ssh-ed25519 AAAA"), is_root=True)
    assert line == "asyncamanda server enroll laptop --setup --key 'ssh-ed25519 AAAA'"


def test_the_commands_for_a_lost_key_and_for_another_name() -> None:
    """Only the words that are meant."""
    enrolling = Enrolling("laptop", "ssh-ed25519 AAAA", is_replacing=True)
    argv = shlex.split(render_enroll(enrolling, is_root=True))
    assert "--replace" in argv
    assert "--replace" not in render_enroll(replace(enrolling, is_replacing=False))
    assert render_rename("laptop", "larch") == "sudo asyncamanda server rename laptop larch"
    assert render_rename("a", "b", is_root=True) == "asyncamanda server rename a b"


@pytest.mark.parametrize(("largest", "words"), [("250GB", ["--largest", "250GB"]), ("", [])])
def test_the_line_says_how_much_a_large_disk_holds(largest: str, words: list[str]) -> None:
    """So that the server can refuse at once what it has no room for."""
    enrolling = Enrolling("laptop", "ssh-ed25519 AAAA", ("/home",), largest=largest)
    line = shlex.split(render_enroll(enrolling))
    assert line[line.index("/home") + 1 : line.index("--setup")] == words


def test_an_administrators_login_is_one_argv() -> None:
    """With a terminal only if setup has one; without one ssh asks nothing."""
    via = Target("amanda", user="root", port=2222)
    assert plan_via(via, "true", ("~/k", "/tmp/p"), is_watched=True) == [  # noqa: S108
        *("ssh", "-t", "-o", 'UserKnownHostsFile="~/k" "/tmp/p"'),
        *("-l", "root", "-p", "2222", "--", "amanda", "true"),
    ]
    unwatched = plan_via(Target("amanda"), "true", ("~/k",), is_watched=False)
    assert unwatched[:4] == ["ssh", "-T", "-o", "BatchMode=yes"]


# -- client.toml


def test_the_client_toml_says_what_is_wanted() -> None:
    """And nothing else: every other key has its default."""
    options = read(replace(GOOD, server="[fe80::1%eth0]:22", interval="1d 12h"))
    config = parse_client_config(render_client_toml(options), "x")
    assert config == ClientConfig(
        Target("fe80::1%eth0", user="backup", port=22), interval=timedelta(hours=36)
    )


def test_what_the_client_toml_shows_is_true() -> None:
    """Each key that is commented out is allowed as it stands there."""
    text = render_client_toml(read(GOOD))
    lines = [re.sub(r"^# (?=\w+ += )", "", line) for line in text.splitlines()]
    shown = parse_client_config("\n".join(lines), "x")
    usual = parse_client_config(text, "x")
    for key in ("stale_after", "networks", "not_networks", "windows", "max_load"):
        assert getattr(shown, key) != getattr(usual, key)
    for key in ("reconnect_for", "on_battery", "metered", "pause", "ssh"):
        assert getattr(shown, key) == getattr(usual, key)
    assert shown.conditions.relax_after == usual.conditions.relax_after


def test_a_comment_that_goes_on_from_another_key_stands_below_it() -> None:
    """`where they do not` is said of backups, and so behind where they do."""
    text = render_client_toml(read(GOOD))
    keys = re.findall(r"^# (\w+) +=", text, re.MULTILINE)
    at = keys.index("networks")
    assert keys[at : at + 3] == ["networks", "not_networks", "rate"]


def test_a_client_toml_for_the_same_server_is_kept() -> None:
    """With a note where it has another interval; a user that it leaves out is no other one."""
    there = ClientConfig(Target("amanda.example.com"))
    assert check_present(there, read(GOOD)) == ""
    assert check_present(there, read(replace(GOOD, interval="24"))) == ""
    assert "its own interval" in check_present(there, read(replace(GOOD, interval="5h")))
    for other in (
        replace(there, server=Target("other")),
        replace(there, server=Target("amanda.example.com", port=2222)),
        replace(there, command="amdump daily"),
    ):
        with pytest.raises(ConfigurationError, match=r"client\.toml") as caught:
            check_present(other, read(GOOD))
        assert "--new-client-toml" in caught.value.hint


# -- the host key

PLACE = Place("amanda", 22, "amanda", ())
ED25519 = PublicKey("ssh-ed25519", "AAAA")
RSA = PublicKey("ssh-rsa", "BBBB")
NOTHING = KnownHostKey((), ())


def test_the_first_key_counts_unless_another_is_known_or_named() -> None:
    """Known is what is pinned, by whichever type."""
    offered = (ED25519, RSA)
    assert choose_key(offered, NOTHING, PLACE, None) == (ED25519, False)
    assert choose_key(offered, NOTHING, PLACE, RSA.fingerprint) == (RSA, False)
    assert choose_key(offered, KnownHostKey((RSA,), ()), PLACE, None) == (RSA, True)
    assert choose_key(offered, KnownHostKey((RSA,), ()), PLACE, RSA.fingerprint) == (RSA, True)


@pytest.mark.parametrize(
    ("known", "fingerprint", "reference"),
    [
        (NOTHING, FINGERPRINT, "wrong-fingerprint"),
        (KnownHostKey((ED25519,), ()), RSA.fingerprint, "wrong-fingerprint"),
        (
            KnownHostKey((PublicKey("ssh-ed25519", "CCCC"),), ()),
            ED25519.fingerprint,
            "host-key-changed",
        ),
        (KnownHostKey((ED25519,), (RSA,)), None, "host-key-revoked"),
    ],
)
def test_a_key_that_is_not_the_right_one_is_refused(
    known: KnownHostKey, fingerprint: str | None, reference: str
) -> None:
    """A fingerprint makes good neither another key that is known nor a revoked one."""
    with pytest.raises(RefusedError) as caught:
        choose_key((ED25519, RSA), known, PLACE, fingerprint)
    assert caught.value.reference == reference


def test_a_key_is_pinned_by_the_name_that_ssh_looks_for() -> None:
    """And sshd keeps it in a file of its type's."""
    assert render_known(ED25519, "[amanda]:2222") == "[amanda]:2222 ssh-ed25519 AAAA\n"
    assert name_file(RSA) == "/etc/ssh/ssh_host_rsa_key.pub"


# -- waiting

NOW = datetime(2026, 1, 1, tzinfo=UTC)
READY = Ready("laptop", "daily", ("/home",))
DENIED = NotYet("no", is_denied=True)
AWAY = NotYet("refused", is_denied=False, reception=ProbeReception.NOT_REACHED)


def wait(
    answers: Iterator[Ready | NotYet], seconds: float, *, is_gentle: bool = False
) -> tuple[list[Ready | NotYet], float]:
    """Return what was found, and how long that took."""
    slept: list[float] = []
    found = wait_for(
        lambda: next(answers),
        lambda ready: "/home" in ready.disks,
        lambda: NOW + timedelta(seconds=sum(slept)),
        NOW + timedelta(seconds=seconds),
        slept.append,
        lambda probes, last: plan_nap(probes, 0.5, is_gentle=is_gentle, last=last),
        is_gentle=is_gentle,
    )
    return list(found), sum(slept)


def test_it_waits_until_the_gate_serves_what_is_wanted() -> None:
    """A gate that does not have the disk yet is not enough."""
    early = replace(READY, disks=())
    answers: list[Ready | NotYet] = [DENIED, DENIED, early, READY]
    assert wait(iter(answers), 60)[0] == answers


def test_it_gives_up_in_time_and_never_hurries() -> None:
    """There is a last probe after the time; the naps grow to ten seconds."""
    found, took = wait(iter([DENIED] * 1000), 100)
    assert found[-1] == DENIED
    assert 100 <= took <= 110
    assert 10 <= len(found) <= 20


@pytest.mark.parametrize(
    ("seconds", "probes", "took"), [(5, 1, 5), (90, 1, 40), (100, 2, 100), (600, 10, 580)]
)
def test_where_failures_count_none_is_added_at_the_end(
    seconds: float, probes: int, took: float
) -> None:
    """Machines that began together would all probe in that moment, and sshd shut them out."""
    found, passed = wait(iter([DENIED] * 1000), seconds, is_gentle=True)
    assert (len(found), passed) == (probes, took)


def test_a_client_that_is_being_renamed_is_waited_for() -> None:
    """Its gate was started by the old name's key, and the registry has the new one already."""
    revoked = Refused("revoked", "this client is not enrolled", "ask", int(Exit.REFUSED))
    assert judge_refused(revoked) == NotYet("this client is not enrolled", is_denied=True)
    later = replace(revoked, reference="too-many-sessions", exit=int(Exit.LATER))
    assert judge_refused(later) == NotYet("this client is not enrolled", is_denied=False)
    with pytest.raises(RefusedError):
        judge_refused(replace(revoked, reference="another-machine"))


def test_a_server_that_was_away_is_asked_again_soon() -> None:
    """Within two minutes there were one or two probes before, by chance."""
    found, took = wait(iter([AWAY, AWAY, AWAY, READY]), 120, is_gentle=True)
    assert (found[-1], took) == (READY, 40 + 3 * 15)


# -- the disklist


def test_a_disk_is_added_once_as_amanda_quotes_it() -> None:
    """After a last line without its end, too."""
    assert render_dles("", "laptop", ["/home"], "roaming") == "laptop /home roaming\n"
    assert (
        render_dles("# x", "laptop", ["/a b", "/#"], "r") == '# x\nlaptop "/a b" r\nlaptop "/#" r\n'
    )
    assert render_dles("x\n", "laptop", ['/"'], "r") == 'x\nlaptop "/\\"" r\n'


def configured(*by_ssh: str) -> Configured:
    """Return a configuration with these dumptypes, one more, and no disk."""
    file = DisklistFile("daily", Path("/x"), "backup")
    return Configured(file, (), {"global": "bsdtcp"} | dict.fromkeys(by_ssh, "ssh"))


@pytest.mark.parametrize(
    ("disks", "missing", "told"),
    [
        (("/home", "/srv", "/srv"), ("/srv",), ()),
        (("/", "docs"), ("/",), ()),
        (("/srv/docs",), (), ("/srv/docs is in the disklist already, as docs",)),
        (("docs/",), (), ("docs/ is docs, which the disklist has",)),
        (("/home/",), (), ("/home/ is /home, which the disklist has",)),
        (("/new/", "/new"), ("/new",), ("/new/ is added as /new",)),
        (("/odd/", "/odd"), (), ("/odd is in the disklist already, as /odd/",)),
    ],
)
def test_only_what_is_missing_is_added(
    disks: tuple[str, ...], missing: tuple[str, ...], told: tuple[str, ...]
) -> None:
    """Each once; what Amanda would dump a second time, by another name, is told."""
    dles = [Dle("laptop", "/home"), Dle("laptop", "docs", "/srv/docs"), Dle("laptop", "/odd/")]
    assert find_missing(dles, disks) == (missing, told)


def test_a_dumptype_that_is_only_a_base_is_neither_offered_nor_taken() -> None:
    """Unless its administrator gave it a program."""
    text = 'DEFINE DUMPTYPE roaming-base {\n      PROGRAM             "%s"\n}\n'
    assert find_bases(parse_config(text % "APPLICATION")) == frozenset()
    bases = find_bases(parse_config(text % "DUMP"))
    having = replace(configured("roaming", "roaming-base"), bases=bases)
    check_dumptype(having, "roaming")
    with pytest.raises(BadDataError, match="no dumptype by itself") as caught:
        check_dumptype(having, "Roaming-Base")
    assert caught.value.hint.endswith(": roaming")


def test_a_disk_that_is_there_keeps_its_dumptype_and_that_is_told() -> None:
    """With what changes it."""
    told = describe_kept("laptop", ["/srv/a b"], "roaming-gnutar")
    assert told.startswith("--dumptype roaming-gnutar changes no disk")
    assert "`asyncamanda server disk remove laptop '/srv/a b'`" in told


def test_a_disk_to_be_added_is_a_path() -> None:
    """As on the client; a name that the disklist has already is none of these."""
    check_new_disks(["/", "/srv/a b"])
    for disk in ("srv", "srv/x", "~/x"):
        with pytest.raises(UsageError, match="is not a path, such as /home"):
            check_new_disks(["/home", disk])


def test_a_dumptype_that_there_is_not_names_those_by_ssh() -> None:
    """Any other that there is may be used."""
    check_dumptype(configured("roaming"), "global")
    check_dumptype(configured("roaming"), "Roaming")
    with pytest.raises(BadDataError, match="no dumptype roming") as caught:
        check_dumptype(configured("roaming", "more"), "roming")
    assert "roaming, more" in caught.value.hint
