"""server enroll --disk, and what the real Amanda makes of the disklist after it."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e.laptop import ASYNCAMANDA, Run
from tests.e2e.office import DISK, open_office

from lab import Lab

DISKLIST = "/etc/amanda/daily/disklist"
CONF = "/etc/amanda/daily/amanda.conf"
HAS = "laptop /home roaming\nlaptop docs /srv/docs roaming\nlaptop /srv/a_b roaming\n"
PYTHON = "/opt/asyncamanda/bin/python"
TIMES = 15
ADD = f"""
from pathlib import Path
from asyncamanda.server.enrol.disklist import Addition
from asyncamanda.server.enrol.disklist_file import DisklistFile
file = DisklistFile("daily", Path("{DISKLIST}"), "backup")
for number in range({TIMES}):
    Addition("{{client}}", (f"/srv/{{{{number}}}}",), "roaming").make(file)
"""


@pytest.fixture(scope="module")
def server_lab(lab_prefix: Path) -> Iterator[Lab]:
    """Yield a lab whose server is set up, with keys of a few clients in /srv."""
    with Lab(prefix=lab_prefix) as lab:
        lab.server.run([ASYNCAMANDA, "server", "setup", "--yes"])
        for name in ("laptop", "tablet", "larch", "elm"):
            make = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", f"/srv/{name}"]
            lab.server.run(make)
        yield lab


@pytest.fixture
def lab(server_lab: Lab) -> Lab:
    """Yield it with a disklist of the laptop's three disks, and nobody enrolled."""
    home = server_lab.server.account("backup").home
    server_lab.server.write(f"{home}/.ssh/authorized_keys", "", owner="backup", mode=0o600)
    server_lab.server.write(DISKLIST, HAS, owner="backup")
    return server_lab


def words(client: str, *disks: str, key: str = "") -> list[str]:
    """Return the argv that enrolls a client with these disks."""
    given = [word for disk in disks for word in ("--disk", disk)]
    argv = [ASYNCAMANDA, "server", "enroll", client, "--key", f"/srv/{key or client}.pub"]
    return [*argv, *given]


def enroll(lab: Lab, client: str, *disks: str, key: str = "") -> Run:
    """Enroll a client with these disks."""
    return lab.server.run(words(client, *disks, key=key), check=False)


def dles(lab: Lab) -> list[str]:
    """Return each DLE that Amanda has."""
    return lab.server.amanda("amadmin", "daily", "dles").stdout.splitlines()


def test_two_that_add_at_once_lose_no_line(lab: Lab) -> None:
    """Each reads what the other has written, and replaces that."""
    clients = ("tablet", "larch")
    added = [lab.server.start([PYTHON, "-c", ADD.format(client=name)]) for name in clients]
    for process in added:
        said = process.communicate(timeout=120)
        assert process.returncode == 0, said
    assert len(dles(lab)) == 3 + TIMES * len(clients)


def test_enrolments_at_once_take_turns(lab: Lab) -> None:
    """None fails because of another."""
    clients = ("tablet", "larch", "elm")
    started = [lab.server.start(words(name, "/srv/x")) for name in clients]
    for process in started:
        said = process.communicate(timeout=120)
        assert process.returncode == 0, said
    assert len(dles(lab)) == 3 + len(clients)


@pytest.mark.parametrize(
    ("client", "disk", "reason"),
    [
        ("Laptop", "/srv/x", 'Same host with different case: "laptop" and "Laptop"'),
        ("laptop", "/srv/a/b", 'Two disks are mapping to the same name: "/srv/a_b" and "/srv/a/b"'),
    ],
)
def test_what_amanda_would_refuse_is_refused_before(
    lab: Lab, client: str, disk: str, reason: str
) -> None:
    """Or Amanda could use the whole configuration no more, and every client would end with 78."""
    home = lab.server.account("backup").home
    done = enroll(lab, client, disk, key="laptop")
    assert done.returncode == 65, done.stdout + done.stderr
    assert reason in " ".join(done.stderr.split())
    assert "nothing was changed" in " ".join(done.stderr.split())
    assert lab.server.read(DISKLIST) == HAS
    assert lab.server.read(f"{home}/.ssh/authorized_keys") == ""
    assert len(dles(lab)) == 3


@pytest.mark.parametrize(
    ("given", "told", "added"),
    [
        ("/home/", "/home/ is /home, which the disklist has", []),
        ("/srv/docs", "/srv/docs is in the disklist already, as docs", []),
        ("/srv/docs/", "/srv/docs/ is in the disklist already, as docs", []),
        ("/srv/new/", "/srv/new/ is added as /srv/new", ["laptop /srv/new"]),
        ("docs", "", []),
    ],
)
def test_a_disk_is_not_backed_up_twice_by_another_name(
    lab: Lab, given: str, told: str, added: list[str]
) -> None:
    """A slash at its end, or the device of a disk that has a name, is told."""
    before = dles(lab)
    done = enroll(lab, "laptop", given)
    assert done.returncode == 0, done.stderr
    assert told in " ".join(done.stderr.split())
    assert (done.stderr == "") == (told == "")
    assert dles(lab) == before + added


def test_a_mistake_in_amanda_conf_is_told_by_its_own_line(lab: Lab) -> None:
    """Not by what Amanda says of all of them after it, nor by a warning before it."""
    conf = lab.server.read(CONF)
    lab.server.append(CONF, "amrecover_do_fsf yes\noops 3\n", owner="backup")
    try:
        done = enroll(lab, "laptop", "/srv/new")
    finally:
        lab.server.write(CONF, conf, owner="backup")
    said = " ".join(done.stderr.split())
    line = len(conf.splitlines()) + 2
    assert (done.returncode, f"line {line}: error: not a keyword" in said) == (65, True), said
    assert not re.search("errors processing", said)


def test_a_dumptype_by_another_way_is_told(lab: Lab) -> None:
    """Amanda would call the client directly; for a direct client that is as it should be."""
    conf = lab.server.read(CONF)
    lab.server.append(CONF, 'define dumptype old {\nroaming\nauth "bsdtcp"\n}\n', owner="backup")
    try:
        argv = [*words("tablet", "/srv/x"), "--dumptype", "old"]
        by_relay = lab.server.run(argv)
        directly = lab.server.run([*argv, "--direct"])
    finally:
        lab.server.write(DISKLIST, HAS, owner="backup")
        lab.server.write(CONF, conf, owner="backup")
    assert "/srv/x (auth bsdtcp)" in " ".join(by_relay.stderr.split())
    assert directly.stderr == ""


def test_a_client_that_the_disklist_has_in_another_case_is_told(lab: Lab) -> None:
    """Its key would stand for a host without a disk."""
    done = enroll(lab, "Laptop", key="laptop")
    assert done.returncode == 0, done.stderr
    assert "the disklist has laptop" in " ".join(done.stderr.split())


def test_a_deprecated_word_of_amanda_conf_is_no_fault(lab: Lab) -> None:
    """Amanda warns of it at each start, and goes on."""
    conf = lab.server.read(CONF)
    lab.server.append(CONF, "amrecover_do_fsf yes\n", owner="backup")
    try:
        done = enroll(lab, "tablet", "/srv/x")
    finally:
        lab.server.write(CONF, conf, owner="backup")
    said = " ".join(done.stderr.split())
    assert (done.returncode, "Keyword amrecover_do_fsf is deprecated" in said) == (0, True), said
    assert "laptop /home" in dles(lab)


# -- disks of a client that is enrolled


def ask(lab: Lab, *argv: str) -> Run:
    """Run a command of the server's, as root."""
    return lab.server.run([ASYNCAMANDA, "server", *argv], check=False)


def test_a_disk_is_added_and_removed_without_the_clients_key(lab: Lab) -> None:
    """Its lines are comments then, with the date; the key stays as it is."""
    enroll(lab, "laptop")
    keys = f"{lab.server.account('backup').home}/.ssh/authorized_keys"
    before = lab.server.read(keys)
    block = 'laptop /srv/big {\n  roaming\n  comment "} x"\n}\n'
    lab.server.append(DISKLIST, block, owner="backup")
    added = ask(lab, "disk", "add", "laptop", "/srv/new", "/home/")
    assert (added.returncode, "added: /srv/new" in added.stdout) == (0, True), added.stderr
    assert "/home/ is /home" in added.stderr
    again = ask(lab, "disk", "add", "laptop", "/srv/new", "--json")
    assert json.loads(again.stdout)["outcome"] == "unchanged"
    assert len(dles(lab)) == 5
    gone = ask(lab, "disk", "remove", "laptop", "/srv/docs", "/srv/big", "--json")
    assert json.loads(gone.stdout)["disks"] == ["/home", "/srv/a_b", "/srv/new"], gone.stderr
    assert dles(lab) == ["laptop /home", "laptop /srv/a_b", "laptop /srv/new"]
    text = lab.server.read(DISKLIST)
    assert re.search(r"^# removed \d{4}-\d\d-\d\d: laptop docs /srv/docs roaming$", text, re.M)
    assert len(re.findall("^# removed ", text, re.M)) == 5
    assert lab.server.read(keys) == before


def test_what_cannot_be_removed_or_added_is_told(lab: Lab) -> None:
    """A disk that is not there, a client that is not, one line of an included file."""
    enroll(lab, "laptop")
    lab.server.write("/etc/amanda/daily/more", "laptop /srv/inc roaming\n", owner="backup")
    text = f"{HAS}includefile more\n"
    lab.server.write(DISKLIST, text, owner="backup")
    for words, status, said in (
        (("remove", "laptop", "/nosuch"), 65, "its disks: /home, /srv/a_b, /srv/inc, docs"),
        (("remove", "lapdog", "/home"), 65, "did you mean laptop?"),
        (("remove", "laptop", "/srv/inc"), 65, "was not changed"),
        (("add", "laptop", "/srv/a/b"), 65, "Two disks are mapping to the same name"),
        (("add", "laptop", "/x", "--dumptype", "roming"), 65, "roaming, roaming-amgtar"),
    ):
        done = ask(lab, "disk", *words)
        told = " ".join(done.stderr.split())
        assert (done.returncode, said in told) == (status, True), told
    assert lab.server.read(DISKLIST) == text


def test_revoke_says_what_stays_and_retire_removes_it(lab: Lab) -> None:
    """Retired after it was revoked, or at once; the lines are comments then, others stay."""
    lab.server.append(DISKLIST, "tablet /home roaming\n", owner="backup")
    for client in ("laptop", "tablet"):
        enroll(lab, client)
    keys = f"{lab.server.account('backup').home}/.ssh/authorized_keys"
    revoked = ask(lab, "revoke", "laptop")
    assert "still in the disklist: /home, docs, /srv/a_b" in revoked.stdout
    assert "server retire laptop --amanda-config daily" in revoked.stdout
    assert len(dles(lab)) == 4
    late = ask(lab, "retire", "laptop", "--amanda-config", "daily")
    assert (late.returncode, "was not enrolled any more" in late.stdout) == (0, True), late.stderr
    assert dles(lab) == ["tablet /home"]
    retired = json.loads(ask(lab, "retire", "tablet", "--json").stdout)
    assert (retired["outcome"], retired["disks"]) == ("retired", ["/home"])
    assert len(retired["keys"]) == 1
    assert (dles(lab), lab.server.read(keys)) == ([], "")
    text = lab.server.read(DISKLIST)
    assert re.search(r"^# retired \d{4}-\d\d-\d\d: tablet /home roaming$", text, re.M)
    again = ask(lab, "retire", "tablet")
    assert (again.returncode, "no client tablet" in again.stderr) == (65, True)
    assert enroll(lab, "tablet", "/home").returncode == 0  # it comes back after all


def test_rekey_replaces_the_key_alone(lab: Lab) -> None:
    """Not what else is in its line."""
    argv = [*words("laptop"), "--direct", "--no-restore"]
    lab.server.run(argv)
    keys = f"{lab.server.account('backup').home}/.ssh/authorized_keys"
    text = lab.server.read(keys).replace("restrict,", 'from="10.*",restrict,')
    lab.server.write(keys, text, owner="backup", mode=0o600)
    before = lab.server.read(keys)
    done = ask(lab, "rekey", "laptop", "--key", "/srv/elm.pub")
    assert (done.returncode, "has another key" in done.stdout) == (0, True), done.stderr
    old, new = (lab.server.read(f"/srv/{name}.pub").split()[1] for name in ("laptop", "elm"))
    after = lab.server.read(keys)
    assert after.split(" ssh-")[0] == before.split(" ssh-")[0]
    assert (old in after, new in after) == (False, True)
    again = ask(lab, "rekey", "laptop", "--key", "/srv/elm.pub", "--json")
    assert json.loads(again.stdout)["outcome"] == "unchanged"
    for given, status in ((("nobody", "--key", "/srv/elm.pub"), 65), (("laptop",), 64)):
        assert ask(lab, "rekey", *given).returncode == status


def test_rename_is_whole(lab: Lab) -> None:
    """In disklist, key's line and alias; cut off between them, it says what completes it."""
    for client in ("laptop", "tablet"):
        enroll(lab, client)
    home = lab.server.account("backup").home
    for name, status in (("tablet", 77), ("Tablet", 77), ("a b", 64)):
        assert ask(lab, "rename", "laptop", name).returncode == status
    lab.server.append(DISKLIST, "Elm /home roaming\n", owner="backup")
    taken = ask(lab, "rename", "laptop", "elm")
    assert (taken.returncode, "disks of Elm already" in taken.stderr) == (65, True), taken.stderr
    text = lab.server.read(DISKLIST)
    done = ask(lab, "rename", "laptop", "larch", "--json")
    assert json.loads(done.stdout)["disks"] == ["/home", "docs", "/srv/a_b"], done.stderr
    assert lab.server.read(DISKLIST) == text.replace("laptop ", "larch ")
    assert dles(lab)[0] == "larch /home"
    keys, alias = (
        lab.server.read(f"{home}/.ssh/{name}") for name in ("authorized_keys", "asyncamanda.conf")
    )
    assert ("--client larch " in keys, "--client laptop " in keys) == (True, False)
    assert ("Host larch\n" in alias, "Host laptop\n" in alias) == (True, False)
    cut = keys.replace("--client larch ", "--client laptop ")
    lab.server.write(f"{home}/.ssh/authorized_keys", cut, owner="backup", mode=0o600)
    unsaid = ask(lab, "rename", "laptop", "larch")
    assert (unsaid.returncode, "larch --disks-renamed" in unsaid.stderr) == (65, True), (
        unsaid.stderr
    )
    again = ask(lab, "rename", "laptop", "larch", "--disks-renamed")
    assert (again.returncode, "stays under laptop" in again.stdout) == (0, True), again.stderr
    assert lab.server.read(f"{home}/.ssh/authorized_keys") == keys


def test_a_renamed_client_is_backed_up_by_its_new_name(lab_prefix: Path) -> None:
    """With nothing changed on it: a full; what was before is listed under the old name."""
    with open_office(lab_prefix, "laptop") as office:
        office.fill()
        office.set_up()
        assert office.backup("laptop", "--force").returncode == 0
        office.ask("server", "rename", "laptop", "larch")
        after = office.backup("laptop", "--force")
        assert (after.returncode, "/srv/docs (level 0)" in after.stdout) == (0, True), after.stderr
        assert office.confirmed().keys() == {("laptop", DISK), ("larch", DISK)}
        old = office.ask("server", "list", "laptop", "--amanda-config", "daily")
        assert DISK in old.stdout


def test_a_full_is_forced_before_a_disk_is_given_to_amgtar(lab: Lab) -> None:
    """If it ends between the two, amgtar does not build on what GNUTAR has noted.

    What stood behind the line stays, and Amanda finds the same disks.
    """
    server, folder = lab.server, DISKLIST.rpartition("/")[0]
    server.write(DISKLIST, HAS.replace("/home roaming", "/home roaming # Ada's"), owner="backup")
    before, listed = server.read(DISKLIST), dles(lab)
    modernise = [ASYNCAMANDA, "server", "disk", "modernise", "laptop", "/home", "--yes"]
    unknown = server.run(modernise, check=False)
    assert (unknown.returncode, "no client laptop" in unknown.stderr) == (65, True), unknown.stderr
    modernise += ["--amanda-config", "daily"]
    odd = server.run([*modernise, "/ho\nme"], check=False)
    assert odd.returncode == 64, odd.stderr
    mode = server.run(["stat", "-c", "%a", folder]).stdout.strip()
    server.run(["chmod", "0500", folder])
    try:
        stopped = server.run(modernise, check=False)
    finally:
        server.run(["chmod", mode, folder])
    assert stopped.returncode != 0
    assert server.read(DISKLIST) == before
    info = server.run(["cat", "/var/lib/amanda/daily/curinfo/laptop/_home/info"]).stdout
    assert "command: 1" in info, "no full is forced"
    server.run(modernise)
    assert server.read(DISKLIST).startswith("# Ada's\nlaptop /home {\n    roaming\n")
    assert dles(lab) == listed
