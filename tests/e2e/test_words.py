"""What a client's programs and names say, all the way to a person: as text, and nothing else."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e.office import STATE, Office, open_office

# what steers a terminal, turns a line round, or is not UTF-8; the shell's printf makes it
SAID = r"no \033[31mroom\r\302\205\342\200\256\377 here"
DISK = "/srv/a\x1b[31mb\u202ec"
DISK_SHOWN = r"/srv/a\x1b[31mb\u202ec"
AMANDAD = f"""#!/bin/sh
printf '{SAID}\\n' >&2
exit 3
"""


@pytest.fixture
def office(lab_prefix: Path) -> Iterator[Office]:
    """Yield an office with a client whose amandad only complains, and whose disk is so named."""
    with open_office(lab_prefix, "laptop") as opened:
        opened.fill()
        opened.server.add_dle("laptop", DISK)
        opened.set_up()
        client = opened.client("laptop")
        client.write("/srv/amandad", AMANDAD, mode=0o755)
        opened.configure_agent(client, amandad="/srv/amandad")
        yield opened


def assert_text(where: str, said: str) -> None:
    """Fail unless `said` is lines of what prints."""
    for line in said.split("\n"):
        assert line.isprintable(), (where, line)


def test_what_a_client_says_is_shown_and_kept_as_text(office: Office) -> None:
    """In both logs, the kept report, and whatever the commands of both sides print."""
    run = office.backup("laptop", "-v")
    assert run.returncode == 100, run.stderr
    assert_text("the agent's diary", run.stdout + run.stderr)
    assert DISK_SHOWN in run.stderr
    for words in (["status"], ["history"], ["check"], ["doctor"]):
        client = office.client("laptop").run(["asyncamanda", *words], check=False)
        assert_text(f"{words}", client.stdout + client.stderr)
        assert client.stdout

    assert_text("the dispatcher's diary", office.diary)
    assert DISK_SHOWN in office.diary

    (one,) = json.loads(office.ask("server", "runs", "--json").stdout)
    report = office.server.path(one["report"]).read_bytes().decode()
    assert_text("the report", report)
    assert DISK_SHOWN in report
    for words in (
        ["queue"],
        ["clients"],
        ["runs"],
        ["runs", one["run"]],
        ["runs", one["run"], "--report"],
        ["doctor", "laptop"],
    ):
        answer = office.ask("server", *words, check=False)
        assert answer.stdout, words
        assert_text(f"server {words}", answer.stdout + answer.stderr)
    assert DISK_SHOWN in office.ask("server", "runs", one["run"]).stdout.replace("\n", "")


def test_a_client_whose_disks_cannot_all_be_said_is_told_so(office: Office) -> None:
    """By the server's own refusal: it would not accept a longer line as the gate's."""
    lines = [f"laptop /srv/{number}-{'x' * 3000} roaming\n" for number in range(400)]
    office.server.append("/etc/amanda/daily/disklist", "".join(lines), owner="backup")
    run = office.backup("laptop")
    assert run.returncode == 78, run.stderr
    assert "the server cannot tell this client the state of its disks" in run.stderr
    assert "laptop: the server cannot tell" in office.diary
    assert office.server.path(f"{STATE}/dispatcher.log").stat().st_size < 10_000
