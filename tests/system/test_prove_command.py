"""`prove` on a laptop: what comes back by a real ssh is compared with what is there.

The gate is a script that gives back what a real tar has packed. A dump is as old as its request
says: files made just now count as unchanged since a dump that is said to begin in ten minutes.
"""

from __future__ import annotations

import json
import stat
import subprocess
import tarfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.system import restoring_gate
from tests.system.test_gate_client import GATE, forced
from tests.system.trees import pack

from asyncamanda.client.state.memory import encode_memory
from asyncamanda.core.model import DumpRecord, Memory
from asyncamanda.core.restore.proof import MARGIN
from asyncamanda.core.restore.search import LEFT_OUT

if TYPE_CHECKING:
    from tests.system.conftest import Done, Rig

STAGE = "/srv/stage"
DATA = "/srv/data"
STATE = "/var/lib/asyncamanda/client"
CLIENT = "/etc/asyncamanda"
FORCED = f"""\
#!/bin/sh
case "$SSH_ORIGINAL_COMMAND" in
    "asyncamanda gate restore") exec /opt/asyncamanda/bin/python {STAGE}/gate.py {STAGE}/restores ;;
    "asyncamanda gate") exec /usr/local/bin/scripted-gate ;;
esac
exit 77
"""
TOLD = """\
hear("hello"); welcome({"/srv/data": 5}, takes_proofs=True)
say("noted", disk_number=hear("proof")["disk_number"]); hear("bye")
"""
OLDER_SERVER = 'hear("hello"); welcome({"/srv/data": 5}); hear("bye")\n'
FILES = {"one": b"one\n", "sub/two": b"2" * 300_000, "sub/deep/three": b"3"}


@dataclass
class Laptop:
    """The laptop, whose /srv/data the gate has."""

    rig: Rig
    limit: float = 0.0  # what changed before it, in seconds since 1970, is older than the dump

    def play(self, **keys: Any) -> None:
        """Let the gate answer so from now on."""
        dumped_at = self.limit + MARGIN.total_seconds()
        plan = {"dumped_at": dumped_at, "has_all_excludes": True, **keys.pop("plan", {})}
        scenario = {
            "archive": f"{STAGE}/packed",
            "folder": STAGE,
            "disks": {DATA: DATA},
            "plan": plan,
            **keys,
        }
        self.rig.server.write(f"{STAGE}/restores", json.dumps(scenario))

    def pack(self) -> None:
        """Let the dump have what is there now."""
        packed = self.rig.server.path(f"{STAGE}/packed")
        pack(self.path(DATA), packed, "--format=pax")
        packed.chmod(0o644)
        self.limit = time.time() + 0.05
        at = datetime.fromtimestamp(self.limit, UTC) + MARGIN
        memory = Memory(at, {DATA: DumpRecord(DATA, 0, at)}, dles=(DATA,), asked_at=at)
        self.rig.laptop.write(f"{STATE}/memory.json", encode_memory(memory), owner="backup")
        self.play()

    def configure(self, **keys: object) -> None:
        """Write client.toml."""
        whole = {"server": "backup@amanda", **keys}
        lines = (f"{key} = {json.dumps(value)}\n" for key, value in whole.items())
        self.rig.laptop.write(self.rig.config, "".join(lines))

    def close_configuration(self) -> None:
        """Let only the Amanda user read client.toml."""
        self.path(self.rig.config).chmod(0o600)
        self.rig.laptop.run(["chown", "backup", self.rig.config])

    def prove(self, *words: str) -> Done:
        """Prove, as root."""
        return self.rig.run("prove", *words)

    def path(self, path: str) -> Path:
        """Return where a path of the laptop's is."""
        return self.rig.laptop.path(path)

    def asked(self) -> list[dict[str, Any]]:
        """Return the requests for files."""
        place = self.rig.server.path(f"{STAGE}/asked")
        lines = place.read_text().splitlines() if place.exists() else []
        found = [json.loads(line) for line in lines]
        return [one for one in found if one["type"] == "restore"]

    def told(self) -> list[dict[str, Any]]:
        """Return the proofs that were reported to the server."""
        place = self.rig.server.path(f"{STAGE}/heard")
        lines = place.read_text().splitlines() if place.exists() else []
        return [one for line in lines if (one := json.loads(line))["type"] == "proof"]

    def remembered(self) -> dict[str, Any]:
        """Return what is remembered of the disk's last proof."""
        (one,) = json.loads(self.path(f"{STATE}/proofs.json").read_text())["disks"]
        assert isinstance(one, dict)
        return one


@pytest.fixture
def laptop(rig: Rig) -> Iterator[Laptop]:
    """Yield a laptop with files, and a gate that has them as they are."""
    data = rig.laptop.path(DATA)
    subprocess.run(["rm", "-rf", data], check=True)
    for name, text in FILES.items():
        (data / name).parent.mkdir(parents=True, exist_ok=True)
        (data / name).write_bytes(text)
    rig.laptop.run(["install", "-d", "-o", "backup", "-m", "700", STATE])
    rig.laptop.run(["install", "-d", "-o", "backup", "/var/lib/asyncamanda/public"])
    rig.server.write(f"{STAGE}/gate.py", Path(restoring_gate.__file__).read_text("utf-8"))
    rig.server.write("/usr/local/bin/forced", FORCED, mode=0o755)
    rig.server.write("/usr/local/bin/scripted-gate", GATE, mode=0o755)
    rig.server.write(f"{STAGE}/scenario", TOLD)
    whole = Laptop(rig)
    whole.configure()
    whole.pack()
    with forced(rig, "forced"):
        yield whole
    subprocess.run(["rm", "-rf", data], check=True)


def edit(laptop: Laptop, name: str, **changes: Any) -> None:
    """Change one member of the dump: `contents` of the same length, attributes, or it `is_gone`."""
    packed = laptop.rig.server.path(f"{STAGE}/packed")
    whole = packed.read_bytes()
    with tarfile.open(packed) as archive, tarfile.open(f"{packed}.new", "w:") as changed:
        for member in archive.getmembers():
            contents = archive.extractfile(member) if member.isreg() else None
            if member.name == f"./{name}":
                if changes.get("is_gone"):
                    continue
                if "contents" in changes:
                    offset = member.offset_data
                    new = changes["contents"]
                    packed.write_bytes(whole[:offset] + new + whole[offset + len(new) :])
                    Path(f"{packed}.new").unlink()
                    return
                for key, value in changes.items():
                    setattr(member, key, value)
                    member.pax_headers = {
                        name: value for name, value in member.pax_headers.items() if name != key
                    }
            changed.addfile(member, contents)
    Path(f"{packed}.new").replace(packed)
    packed.chmod(0o644)


def test_what_comes_back_as_it_is_proves_the_disk(laptop: Laptop) -> None:
    """It is remembered, shown to everybody, and told to the server; then none is due."""
    done = laptop.prove()
    assert (done.exit, done.stderr) == (0, "")
    assert done.stdout == "/srv/data: 3 files (300 kB) came back, and are as they are here\n"
    assert {*laptop.asked()[-1]["paths"]} == {*FILES}
    (told,) = laptop.told()
    assert (told["is_good"], told["files"], told["size"], told["run"]) == (
        True,
        3,
        300_005,
        restoring_gate.RUN,
    )
    record = laptop.path(f"{STATE}/proofs.json")
    assert stat.S_IMODE(record.stat().st_mode) == 0o600
    assert record.owner() == "backup"
    assert laptop.remembered()["is_told"] is True
    line = f"last proved restorable: {datetime.now().astimezone():%A}, less than a minute ago"
    laptop.close_configuration()
    for user in ("root", "nobody"):
        assert line in laptop.rig.run("status", user=user).stdout
    (shown,) = laptop.rig.run("status", "--json", user="nobody").json["proofs"]
    assert (shown["standing"], shown["files"], shown["bytes"]) == ("good", 3, 300_005)
    asked = len(laptop.asked())
    done = laptop.prove("--if-due", "--json")
    assert (done.exit, done.json["outcome"]) == (0, "not due")
    assert len(laptop.asked()) == asked
    assert not [*laptop.path("/tmp").glob("asyncamanda-*")]  # noqa: S108


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"contents": FILES["sub/two"][:-1] + b"x"}, "it came back with other contents"),
        ({"is_gone": True}, "the backup does not have it"),
        ({"mode": 0o600}, "its mode is 644, and came back as 600"),
        ({"uid": 7}, "it belongs to 0:0, and came back as 7:0's"),
        ({"mtime": 5.0}, "it came back with another time"),
    ],
    ids=["flipped", "lost", "mode", "owner", "time"],
)
def test_a_dump_that_has_something_else_is_found_out(
    laptop: Laptop, change: dict[str, Any], words: str
) -> None:
    """The path is named here and to the server, and not to other users of this machine."""
    edit(laptop, "sub/two", **change)
    done = laptop.prove()
    assert done.exit == 100
    fault = f"/srv/data/sub/two: {words}"
    assert done.stdout.split() == f"/srv/data: FAILED: {fault}\n".split()
    (told,) = laptop.told()
    assert (told["is_good"], told["reason"]) == (False, fault)
    shown = laptop.rig.run("status")
    assert "proof of /srv/data FAILED" in shown.stdout
    assert "/srv/data/sub/two" in shown.stdout
    laptop.close_configuration()
    assert "sub/two" not in laptop.rig.run("status", "--json", user="nobody").stdout
    assert "sub/two" not in laptop.rig.laptop.read("/var/lib/asyncamanda/public/status.json")


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        (
            {"fails": (65, "dump-gone", "its volume daily-1 was taken away", "put it back")},
            "its volume daily-1 was taken away",
        ),
        ({"missing": {"one": LEFT_OUT}, "drop": "one"}, f"/srv/data/one: {LEFT_OUT}"),
        ({"late": {"one": "its image ends before it"}, "drop": "one"}, "ends before it"),
    ],
    ids=["volume", "left-out", "cut"],
)
def test_a_dump_that_cannot_be_read_is_found_out(
    laptop: Laptop, keys: dict[str, Any], words: str
) -> None:
    """What the server says of it is what is told."""
    if name := keys.get("drop"):
        edit(laptop, name, is_gone=True)
        keys = {**keys, "also": [name]}
    laptop.play(**keys)
    done = laptop.prove("--json")
    assert (done.exit, done.json["outcome"]) == (100, "failed")
    (disk,) = done.json["disks"]
    assert words in disk["faults"][0]
    assert len(disk["faults"]) == 1


def test_the_last_good_proof_outlives_a_failed_one(laptop: Laptop) -> None:
    """And what people are told, they are told once."""
    assert laptop.prove().exit == 0
    good_at = laptop.remembered()["good_at"]
    edit(laptop, "one", is_gone=True)
    assert laptop.prove().exit == 100
    one = laptop.remembered()
    assert (one["standing"], one["good_at"]) == ("failed", good_at)
    told = json.loads(laptop.path(f"{STATE}/proofs.json").read_text())["told"]
    assert ["journal", "failed"] in told
    laptop.pack()
    assert laptop.prove().exit == 0
    assert json.loads(laptop.path(f"{STATE}/proofs.json").read_text())["told"] == []


def test_a_file_that_changes_meanwhile_proves_nothing(laptop: Laptop) -> None:
    """It is looked at before and after; the others still count."""
    laptop.play(hold=f"{STAGE}/go-on", hold_at=0)
    program = laptop.rig.start("prove")
    laptop.rig.until(lambda: laptop.rig.has("holding"), "the gate waits")
    laptop.path(f"{DATA}/sub/two").write_bytes(b"new")
    laptop.rig.server.write(f"{STAGE}/go-on", "")
    out, _ = program.communicate(timeout=30)
    assert program.returncode == 0
    assert out == "/srv/data: 2 files (5 B) came back, and are as they are here\n"


def test_what_is_excluded_may_lack(laptop: Laptop) -> None:
    """By the dumptype, by client.toml, or by what nobody knows; then others are asked for."""
    edit(laptop, "sub/two", is_gone=True)
    laptop.play(plan={"excludes": ["sub/t*"]})
    assert laptop.prove().exit == 0
    laptop.play(plan={"has_all_excludes": False})
    assert laptop.prove().exit == 0
    laptop.play()
    assert laptop.prove().exit == 100
    laptop.rig.laptop.write(f"{STATE}/excludes", "two\n", owner="backup", mode=0o600)
    assert laptop.prove().exit == 0
    assert "sub/two" not in laptop.asked()[-1]["paths"]


def test_a_folder_that_was_moved_since_the_dump_is_not_missing(laptop: Laptop) -> None:
    """Its files are as old as before, and the dump has them by another name."""
    laptop.rig.until(lambda: time.time() > laptop.limit + 0.1, "the dump has begun")
    laptop.path(f"{DATA}/sub/deep").rename(laptop.path(f"{DATA}/sub/moved"))
    done = laptop.prove()
    assert (done.exit, laptop.asked()[-1]["paths"].count("sub/moved/three")) == (0, 1)
    assert "2 files" in done.stdout


def test_what_is_newer_than_what_the_server_still_has_proves_nothing(laptop: Laptop) -> None:
    """The newest dump has expired there, and an older one is what can be had."""
    edit(laptop, "one", is_gone=True)
    laptop.play(plan={"dumped_at": laptop.limit - 86_400})
    done = laptop.prove()
    assert done.exit == 75
    assert "nothing was proved" in done.stdout


def test_an_expired_dump_is_no_failure(laptop: Laptop) -> None:
    """Its volume was used again, as was meant."""
    laptop.play(fails=(65, "dump-overwritten", "its volume was used again on Monday", "wait"))
    done = laptop.prove()
    assert done.exit == 75
    assert "its volume was used again" in done.stdout
    assert laptop.told() == []
    assert laptop.remembered()["standing"] == "nothing"


def test_a_server_that_is_away_is_for_later(laptop: Laptop) -> None:
    """Nothing is remembered of that, so the next start of the timer tries again."""
    laptop.configure(server="backup@amanda:1")
    done = laptop.prove("--if-due")
    assert done.exit == 75
    assert not laptop.path(f"{STATE}/proofs.json").exists()
    laptop.configure()
    laptop.play(fails=(75, "busy", "the server is busy", "wait"))
    assert laptop.prove("--if-due").exit == 75
    laptop.play()
    assert laptop.prove("--if-due").exit == 0


def test_a_server_that_was_not_told_is_told_later(laptop: Laptop) -> None:
    """Which cannot be where it is older, and takes no proofs."""
    laptop.rig.server.write(f"{STAGE}/scenario", "die()\n")
    done = laptop.prove()
    assert done.exit == 0
    assert "not reported to the server" in done.stderr
    laptop.rig.server.write(f"{STAGE}/scenario", TOLD)
    asked = len(laptop.asked())
    assert laptop.prove("--if-due").exit == 0
    assert (len(laptop.told()), len(laptop.asked())) == (1, asked)
    assert laptop.remembered()["is_told"] is True
    laptop.rig.server.write(f"{STAGE}/scenario", OLDER_SERVER)
    assert laptop.prove().exit == 0
    assert len(laptop.told()) == 1
    assert laptop.remembered()["is_told"] is True


def test_a_bad_moment_is_waited_out(laptop: Laptop) -> None:
    """While a backup runs, or what client.toml wants is not so; asked for by name it is done."""
    hold = (
        "import fcntl,sys;f=open(sys.argv[1],'a');fcntl.flock(f,2);print('held',flush=True);input()"
    )
    argv = ["/opt/asyncamanda/bin/python", "-c", hold, f"{STATE}/lock"]
    holder = laptop.rig.laptop.start(argv, stdin=subprocess.PIPE)
    assert holder.stdout
    assert holder.stdout.readline() == "held\n"
    done = laptop.prove("--if-due", "--json")
    holder.communicate("\n")
    assert (done.exit, done.json["outcome"]) == (75, "deferred")
    assert "a backup is running" in done.json["reason"]
    other = datetime.now().astimezone() + timedelta(hours=6)
    laptop.configure(windows=[f"{other:%H:%M}-{other + timedelta(hours=1):%H:%M}"])
    assert laptop.prove("--if-due").exit == 75
    assert laptop.asked() == []
    assert laptop.prove().exit == 0


def test_a_record_that_is_damaged_or_cannot_be_written_harms_nothing(laptop: Laptop) -> None:
    """The old one stays as it is; a damaged one is begun again."""
    assert laptop.prove().exit == 0
    record = laptop.path(f"{STATE}/proofs.json")
    before = record.read_bytes()
    laptop.path(STATE).chmod(0o500)
    done = laptop.prove()
    assert done.exit == 0
    assert "cannot be written" in done.stderr
    assert record.read_bytes() == before
    laptop.path(STATE).chmod(0o700)
    record.write_text('{"format": 1, "disks": [{}]')
    assert laptop.rig.run("status").exit == 0
    assert laptop.prove("--if-due").exit == 0
    assert laptop.remembered()["standing"] == "good"


def test_a_client_without_a_gate_proves_nothing(laptop: Laptop) -> None:
    """Its timer is none; asked for, it says why."""
    laptop.configure(command="amdump daily")
    assert laptop.prove("--if-due").exit == 0
    done = laptop.prove()
    assert done.exit == 78
    assert "gives no files back" in done.stderr


def test_only_root_and_the_amanda_user_prove(laptop: Laptop) -> None:
    """It reads everybody's files."""
    laptop.close_configuration()
    assert laptop.rig.run("prove", user="nobody").exit == 77
