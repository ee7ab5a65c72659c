"""server doctor without a client: the server itself, and what is wrong with it for everybody."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e.laptop import Run
from tests.e2e.office import CONF, Office, open_office

DISKLIST = "/etc/amanda/daily/disklist"
SSHD = "/etc/ssh/sshd_config"
HOLD = "/etc/amanda/daily/hold"


@pytest.fixture(scope="module")
def office(lab_prefix: Path) -> Iterator[Office]:
    """Yield an office whose laptop has a disk, with a volume for amcheck to find."""
    with open_office(lab_prefix, "laptop") as office:
        office.fill()
        office.set_up()
        yield office


def doctor(office: Office, *words: str) -> Run:
    """Run it; whatever it prints fits the terminal."""
    run = office.ask("server", "doctor", *words, check=False)
    assert "--json" in words or max(map(len, run.stdout.splitlines())) <= 80, run.stdout
    return run


def test_all_is_well(office: Office) -> None:
    """Each check is named; --wait is for a client."""
    run = doctor(office)
    assert (run.returncode, run.stdout.endswith("the server: all well\n")) == (0, True), run.stdout
    checks = json.loads(doctor(office, "--json").stdout)["checks"]
    names = ["packages", "sshd", "setup", "enrolled", "amanda-config", "capacity", "amcheck"]
    assert [check["check"] for check in checks] == names
    assert {check["ok"] for check in checks} == {True}
    assert office.ask("server", "doctor", "--wait", "1m", check=False).returncode == 64


@pytest.mark.parametrize(
    ("path", "text", "said"),
    [
        (CONF, "oops 3\n", "error: not a keyword"),
        (DISKLIST, "Laptop /srv/x roaming\n", "Same host with different case"),
        (DISKLIST, "laptop /srv/x old\n", "laptop /srv/x (auth bsdtcp)"),
        (CONF, 'infofile "/etc/passwd/no"\n', "/etc/passwd/no"),
        (SSHD, "MaxSessions 1\n", "MaxSessions 1"),
        (HOLD, "", f"{HOLD} exists"),
        (DISKLIST, "laptop /srv/late {\nroaming\nstarttime 2359\n}\n", "laptop /srv/late 23:59"),
        ("/var/backups/.ssh/asyncamanda.conf", "# odd\n", "has an alias for each client"),
    ],
)
def test_what_is_wrong_for_everybody_is_named(
    office: Office, path: str, text: str, said: str
) -> None:
    """By its reason, with what to do."""
    server = office.server
    owner = "root" if path == SSHD else "backup"
    before, conf = None if path == HOLD else server.read(path), server.read(CONF)
    old = 'define dumptype old {\nroaming\nauth "bsdtcp"\n}\n'
    server.write(CONF, conf + old, owner="backup")
    if before is None:
        server.write(path, text, owner=owner)
    else:
        server.append(path, text, owner=owner)
    try:
        run = doctor(office)
    finally:
        server.write(CONF, conf, owner="backup")
        if before is None:
            server.remove(path)
        else:
            server.write(path, before, owner=owner, mode=0o644 if path != SSHD else 0o600)
    told = " ".join(run.stdout.split())
    assert "as the Amanda user" not in told, "that account may have no shell"
    assert (run.returncode, said in told) == (78, True), told
    assert re.search(r"the server: \d problems? to fix$", told), told


def test_a_client_without_a_disk_is_a_warning(office: Office) -> None:
    """And no configuration at all is a fault."""
    lines = office.server.read(DISKLIST)
    office.server.write(DISKLIST, "", owner="backup")
    run = doctor(office)
    office.server.write(DISKLIST, lines, owner="backup")
    assert (run.returncode, "no disk of laptop" in run.stdout) == (0, True), run.stdout
    assert "asyncamanda server disk add laptop /home" in run.stdout
    office.server.run(["mv", "/etc/amanda/daily", "/srv/daily"])
    run = doctor(office)
    office.server.run(["mv", "/srv/daily", "/etc/amanda/daily"])
    assert (run.returncode, "no Amanda configuration" in " ".join(run.stdout.split())) == (78, True)


def test_too_little_free_room_is_a_warning_alone(office: Office) -> None:
    """Whatever else amcheck prints, of a server without a written volume as well."""
    conf = office.server.read(CONF)
    head, _, rest = conf.partition("holdingdisk ")
    rest = re.sub(r"use .*", "use 900000 gbytes", rest, count=1)
    office.server.write(CONF, f"{head}holdingdisk {rest}", owner="backup")
    run = doctor(office)
    report = json.loads(doctor(office, "--json").stdout)
    office.server.write(CONF, conf, owner="backup")
    assert (run.returncode, "nothing to fix; warnings: amcheck" in run.stdout) == (0, True), run
    (check,) = (check for check in report["checks"] if check["check"] == "amcheck")
    (trouble,) = check["troubles"]
    assert trouble["said"].startswith("holding disk '/srv/amanda/holding': only "), trouble
    assert "asyncamanda server flush" in trouble["fix"]
