"""What a client tries that wants another's files: names alike, patterns, `..`, keys that lie."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.back import Gate, restore, restored
from tests.e2e.office import DISK, Office, ends, open_office
from tests.e2e.trees import read_tree

from lab.patience import stretched

DISKLIST = "/etc/amanda/daily/disklist"
CLIENTS = ("laptop", "laptop2", "tower", "desk")
# each of these is another's; the laptop has DISK alone
OTHERS = {
    "laptop2": ("/srv/Docs", "/srv/docs2", "/srv/docs/x"),
    "tower": (DISK,),
    "desk": ("/srv_docs",),  # whose dumps have the same file names in the holding disk
}
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
KINDS: tuple[dict[str, Any], ...] = (
    {"type": "list", "path": ""},
    {"type": "restore", "paths": [""]},
    {"type": "raw"},
    {"type": "raw", "level": 0},
)
PATHS = ("..", "../docs2", "a/../../docs2", "/etc/passwd", "./secret", "secret/", "a//b", "*")


@pytest.fixture(scope="module")  # what is dumped stays as it is
def office(lab_prefix: Path) -> Iterator[Office]:
    """Yield an office where each disk has a secret of its client's, held by the server."""
    with open_office(lab_prefix, *CLIENTS) as opened:
        for name in CLIENTS:
            for disk in (DISK,) if name == "laptop" else OTHERS[name]:
                client = opened.client(name)
                device = disk if disk.startswith("/srv/") else f"/srv{disk}"
                client.write(f"{device}/secret", f"the secret of {name}\n", mode=0o600)
                line = f"{name} {disk} {device} roaming\n"
                opened.server.append(DISKLIST, line, owner="backup")
        opened.set_up({"batch_window": stretched(3)})
        done = ends([opened.start(name) for name in CLIENTS])
        assert [code for code, _ in done] == [0] * len(CLIENTS), done
        yield opened


@pytest.fixture
def gate(office: Office) -> Iterator[Gate]:
    """Yield the laptop's way to the server."""
    way = Gate(office.client("laptop"))
    yield way
    way.close()


def check_nothing(gate: Gate, request: dict[str, Any]) -> None:
    """Fail if anything comes, or if it is not said why it does not."""
    code, out, said = gate.ask(json.dumps(request))
    assert code in {65, 76, 77}, (request, code, said)
    assert out == b"", request
    assert '"failed"' in said, (request, said)
    assert "Traceback" not in said


def test_another_clients_files_cannot_be_had(office: Office, gate: Gate) -> None:
    """By no name of a disk, no path, no key and no run; and one's own still come."""
    (log,) = office.dumps()[:1]
    for disk in ALIKE:
        for kind in KINDS:
            check_nothing(gate, {"disk": disk, **kind})
    for path in PATHS:
        check_nothing(gate, {"type": "restore", "disk": DISK, "paths": [path]})
    others = {"client": "tower", "host": "tower", "name": "tower", "amanda_config": "../x"}
    at = {"run": log.timestamp}
    request = {"type": "restore", "disk": DISK, "paths": [""], "at": at}
    image = {"type": "raw", "disk": DISK, "level": 0, "at": at}
    resumed = {"resume": {"dumps": [log.timestamp], "done": 0}}
    for told in (request, request | others, request | resumed, image, image | others):
        code, out, said = gate.ask(json.dumps(told))
        assert code == 0, said
        assert b"the secret of laptop\n" in out
        assert b"tower" not in out
        assert b"laptop2" not in out
    code, out, said = gate.ask(json.dumps({"type": "disks"} | others))
    assert code == 0, said
    disks = [json.loads(line) for line in said.splitlines() if line.startswith("{")]
    assert {each["disk"] for each in disks if each["type"] == "disk"} == {DISK}


def test_what_is_no_request_is_refused(gate: Gate) -> None:
    """Without a traceback, whatever it is; and no other command comes with this verb."""
    for line in ("", "{}", "[]", "null", '{"type":"list"}', "x" * 2_000_000, '{"type":"disks"'):
        code, out, said = gate.ask(line)
        assert code in {65, 76}, (line[:20], code, said)
        assert out == b""
        assert "Traceback" not in said
    for words in ("asyncamanda gate restore x", "asyncamanda gate restore;id", "restore"):
        assert gate.ask("{}", words)[:2] == (77, b""), words


def test_a_client_that_may_not_restore_is_told_so(office: Office) -> None:
    """`--no-restore`: nothing comes, backups go on; `--restore` allows it again."""
    laptop = office.client("laptop")
    office.ask("server", "enroll", "laptop", "--no-restore")
    done = restore(laptop, DISK)
    assert done.returncode == 77, done
    assert "lets this client restore nothing" in done.stderr
    assert not laptop.path("/srv/back").exists()
    backup = office.backup("laptop", "--force")
    assert backup.returncode == 0, backup.stderr
    office.ask("server", "enroll", "laptop", "--restore")
    done = restore(laptop, DISK)
    assert done.returncode == 0, done.stderr
    assert restored(laptop, DISK) == read_tree(laptop.path(DISK))
