"""A machine that the server knows already: by another name, or with a key that it has lost."""

import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e.fresh import (
    CLIENT_TOML,
    DISK,
    SSH,
    Terminal,
    everything,
    fingerprint,
    open_fresh,
    read_line,
    set_up,
    start_setup,
    type_line,
)

from lab import Lab

DISKLIST = "/etc/amanda/daily/disklist"
KEYS = f"{SSH}/authorized_keys"
NEW_NAME = "larch"


@pytest.fixture
def known(lab_prefix: Path) -> Iterator[Lab]:
    """Yield a lab whose server knows the laptop, by that name and its key."""
    with open_fresh(lab_prefix) as lab:
        setup = start_setup(lab, *words(lab), "--no-backup")
        done = type_line(lab, read_line(setup))
        assert done.returncode == 0, done.stderr
        said, _ = setup.communicate(timeout=60)
        assert setup.returncode == 0, said
        yield lab


def words(lab: Lab) -> tuple[str, ...]:
    """Return the arguments of `setup` there."""
    return ("amanda", "--fingerprint", fingerprint(lab), "--disk", DISK, "--no-schedule")


def registered(lab: Lab) -> tuple[str, str]:
    """Return what the server has of its clients: keys and disks."""
    return lab.server.read(KEYS), lab.server.read(DISKLIST)


def type_there(lab: Lab, line: str) -> Terminal:
    """Type a line on a terminal of the server's."""
    return Terminal(lab.server, *shlex.split(line)[1:])


def test_a_renamed_machine_is_asked_what_it_wants(known: Lab) -> None:
    """To keep its name, or to be renamed there; nothing is done without an answer."""
    known.client.run(["hostname", NEW_NAME])
    before, there = everything(known), registered(known)
    unasked = set_up(known, *words(known))
    said = " ".join(unasked.stderr.split())
    assert (unasked.returncode, f"as laptop, not as {NEW_NAME}" in said) == (78, True), said
    for way in ("--name laptop;", f"asyncamanda server rename laptop {NEW_NAME};", "--new-key"):
        assert way in said
    setup = ("setup", *words(known), "--no-backup")
    for answer, status in (("", 78), ("keep", 0)):
        assert everything(known) == before
        terminal = Terminal(known.client, *setup)
        terminal.expect(f"as laptop, not as {NEW_NAME}")
        terminal.expect("or nothing to change nothing:")
        terminal.type(answer)
        assert terminal.end() == status, terminal.said
    assert 'name = "laptop"' in known.client.read(CLIENT_TOML)
    again = set_up(known, *words(known))
    assert (again.returncode, "done: " in again.stdout) == (0, False), again.stdout + again.stderr
    assert registered(known) == there
    terminal = Terminal(known.client, *setup, "--name", NEW_NAME)
    terminal.expect("or nothing to change nothing:")
    terminal.type("rename")
    terminal.expect(f"asyncamanda server rename laptop {NEW_NAME}")
    terminal.expect("waiting")
    done = type_line(known, f"asyncamanda server rename laptop {NEW_NAME}")
    assert done.returncode == 0, done.stderr
    assert terminal.end() == 0, terminal.said
    assert f'name = "{NEW_NAME}"' in known.client.read(CLIENT_TOML)
    keys, disks = registered(known)
    assert (f"--client {NEW_NAME} " in keys, "laptop" in disks) == (True, False)


def test_enrolling_a_renamed_machine_offers_to_rename_it(known: Lab) -> None:
    """By its key; a no, and where nobody is asked, leaves all as it is, and names both ways."""
    before = registered(known)
    key = shlex.quote(known.client.backup_key)
    line = f"asyncamanda server enroll {NEW_NAME} --disk {DISK} --disk /srv/new --key {key}"
    unasked = type_line(known, line)
    said = " ".join(unasked.stderr.split())
    assert (unasked.returncode, "this key is laptop's already" in said) == (77, True), said
    assert f"asyncamanda server rename laptop {NEW_NAME};" in said
    assert f"asyncamanda setup SERVER --name {NEW_NAME} --new-key" in said
    for answer, status in (("", 77), ("y", 0)):
        assert registered(known) == before
        terminal = type_there(known, line)
        terminal.expect("This key is laptop's")
        terminal.expect(f"Rename laptop to {NEW_NAME}? [y/N]")
        terminal.type(answer)
        assert terminal.end() == status, terminal.said
    assert ", last seen 20" in " ".join(terminal.said.split())
    keys, disks = registered(known)
    assert (keys.count("--client "), f"--client {NEW_NAME} " in keys) == (1, True)
    assert disks.splitlines() == [f"{NEW_NAME} {disk} roaming" for disk in (DISK, "/srv/new")]
    assert type_line(known, line).returncode == 0  # it is enrolled, and nothing is asked
    known.client.run(["hostname", NEW_NAME])
    done = set_up(known, *words(known))
    assert (done.returncode, f"machine as {NEW_NAME}" in done.stdout) == (0, True), done.stderr


def lose_key(lab: Lab) -> None:
    """Leave the client without its key, as after a new installation."""
    lab.client.run(["sh", "-c", f"rm {SSH}/id_ed25519*"])


def test_a_lost_key_is_replaced_by_the_line_that_setup_prints(known: Lab) -> None:
    """On a terminal it asks; else it names the whole command. Then setup goes on by itself."""
    lose_key(known)
    before = registered(known)
    setup = start_setup(known, *words(known), "--no-backup", "--wait", "10m")
    line = read_line(setup)
    assert "--replace" not in line
    unasked = type_line(known, line)
    said = " ".join(unasked.stderr.split())
    assert (unasked.returncode, "with another key" in said) == (77, True), said
    assert f"{line} --replace" in said
    for answer, status in (("", 77), ("y", 0)):
        assert registered(known) == before
        terminal = type_there(known, line)
        terminal.expect("laptop is enrolled with another key")
        terminal.expect("Replace the key? [y/N]")
        terminal.type(answer)
        assert terminal.end() == status, terminal.said
    assert ", last seen 20" in " ".join(terminal.said.split())
    assert setup.stdout
    told = setup.stdout.read()  # not communicate(), which passes by what read_line() has read ahead
    assert setup.wait(120) == 0, told
    assert "offers to replace it" in " ".join(told.split())
    keys, disks = registered(known)
    assert (keys.count("--client laptop "), disks) == (1, before[1])


def test_a_lost_key_is_replaced_where_nobody_is_asked(known: Lab) -> None:
    """By --replace, which means the key: client.toml stays, and it is told what was meant once."""
    lose_key(known)
    toml = known.client.read(CLIENT_TOML)
    setup = start_setup(known, *words(known), "--no-backup", "--replace")
    line = read_line(setup)
    assert " --replace " in line
    done = type_line(known, line)
    assert (done.returncode, "has another key now" in done.stdout) == (0, True), done.stderr
    told, _ = setup.communicate(timeout=120)
    assert setup.returncode == 0, told
    again = set_up(known, *words(known), "--replace")
    assert (again.returncode, "--new-client-toml" in again.stdout) == (0, True), again.stderr
    assert known.client.read(CLIENT_TOML) == toml
