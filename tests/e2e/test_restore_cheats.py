"""What a client tries that wants another's files: names alike, patterns, `..`, keys that lie."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.back import ask_gate, restore, restored
from tests.e2e.office import DISK, Office, open_office
from tests.e2e.trees import read_tree

from lab import Client

CLIENTS = ("laptop", "laptop2", "tower")
# each of these is another's; the laptop has DISK alone
OTHERS = {"laptop2": ("/srv/Docs", "/srv/docs2", "/srv/docs/x"), "tower": (DISK, "/srv_docs")}
ALIKE = (
    "/srv/Docs",
    "/srv/docs2",
    "/srv_docs",
    "/srv/docs/x",
    "/srv/docs/",
    "=/srv/docs2",
    "^/srv/.*$",
    "/srv/*",
    "/srv/docs?",
    "*",
    "",
    "/srv/docs/../docs2",
    "tower:/srv/docs",
    "/srv/docs\n",
    "/srv/docs laptop2 /srv/docs2",
    "--",
    "../../../tower/_srv_docs",
)
PATHS = ("..", "../docs2", "a/../../docs2", "/etc/passwd", "./secret", "secret/", "a//b", "*")


@pytest.fixture
def office(lab_prefix: Path) -> Iterator[Office]:
    """Yield an office where each disk has a secret of its client's, held by the server."""
    with open_office(lab_prefix, *CLIENTS) as opened:
        for name in CLIENTS:
            for disk in (DISK,) if name == "laptop" else OTHERS[name]:
                client = opened.client(name)
                client.write(f"{disk}/secret", f"the secret of {name}\n", mode=0o600)
                opened.server.add_dle(name, disk)
        opened.set_up(direct=CLIENTS)
        opened.server.amanda("amdump", "daily", "--no-taper", "--exact-match", *CLIENTS)
        yield opened


def check_nothing(client: Client, request: dict[str, Any]) -> None:
    """Fail if anything comes, or if it is not said why it does not."""
    code, out, said = ask_gate(client, json.dumps(request))
    assert code in {65, 76, 77}, (request, code, said)
    assert out == b"", request
    assert '"failed"' in said, (request, said)
    assert "Traceback" not in said


def test_another_clients_files_cannot_be_had(office: Office) -> None:
    """By no name of a disk, no path, no key and no run; and one's own still come."""
    laptop = office.client("laptop")
    (log,) = office.dumps()
    for disk in ALIKE:
        for kind in ({"type": "list", "path": ""}, {"type": "restore", "paths": [""]}):
            check_nothing(laptop, {"disk": disk, **kind})
    for path in PATHS:
        check_nothing(laptop, {"type": "restore", "disk": DISK, "paths": [path]})
    others = {"client": "tower", "host": "tower", "name": "tower", "amanda_config": "../x"}
    request = {"type": "restore", "disk": DISK, "paths": [""], "at": {"run": log.timestamp}}
    for lie in ({}, others, {"resume": {"dumps": [log.timestamp], "done": 0}}):
        code, out, said = ask_gate(laptop, json.dumps(request | lie))
        assert code == 0, said
        assert b"the secret of laptop\n" in out
        assert b"tower" not in out
        assert b"laptop2" not in out
    code, out, said = ask_gate(laptop, json.dumps({"type": "disks"} | others))
    assert code == 0, said
    disks = [json.loads(line) for line in said.splitlines() if line.startswith("{")]
    assert {each["disk"] for each in disks if each["type"] == "disk"} == {DISK}


def test_what_is_no_request_is_refused(office: Office) -> None:
    """Without a traceback, whatever it is; and no other command comes with this verb."""
    laptop = office.client("laptop")
    for line in ("", "{}", "[]", "null", '{"type":"list"}', "x" * 2_000_000, '{"type":"disks"'):
        code, out, said = ask_gate(laptop, line)
        assert code in {65, 76}, (line[:20], code, said)
        assert out == b""
        assert "Traceback" not in said
    for words in ("asyncamanda gate restore x", "asyncamanda gate restore;id", "restore"):
        argv = ["ssh", "-o", "BatchMode=yes", "backup@amanda", words]
        assert laptop.run(argv, user="backup", stdin="{}\n", check=False).returncode == 77, words


def test_a_client_that_may_not_restore_is_told_so(office: Office) -> None:
    """`--no-restore`: nothing comes, backups go on; `--restore` allows it again."""
    laptop = office.client("laptop")
    office.ask("server", "enroll", "laptop", "--no-restore")
    done = restore(laptop, DISK)
    assert done.returncode == 77, done
    assert "may not restore" in done.stderr
    assert not laptop.path("/srv/back").exists()
    backup = office.backup("laptop", "--force")
    assert backup.returncode == 0, backup.stderr
    office.ask("server", "enroll", "laptop", "--restore")
    done = restore(laptop, DISK)
    assert done.returncode == 0, done.stderr
    assert restored(laptop, DISK) == read_tree(laptop.path(DISK))
