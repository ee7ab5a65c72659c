"""Invitations: one line for the client, no question, and the cheats of whoever has a code."""

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.fresh import PROGRAM, SSH, Terminal
from tests.e2e.laptop import ASYNCAMANDA, Run, ask_json, wait_until
from tests.e2e.office import STATE

from asyncamanda.core.protocol.joining import JOIN
from asyncamanda.core.ssh.invitation_code import parse_code
from asyncamanda.core.ssh.one_time_key import render_private_key
from lab import Client, Lab

KEYS = f"{SSH}/authorized_keys"
STORE = f"{SSH}/asyncamanda-invitations.json"
DISKLIST = "/etc/amanda/daily/disklist"
NAMES = ("larch", "ash", "oak", "pine", "elm", "yew")
DISK = "/srv/docs"
COMMAND = re.compile(r"^(asyncamanda setup \S+ --code (\S+))$", re.MULTILINE)
USAGE, REFUSED, PROTOCOL = 64, 77, 76
# joins by the invitation ID, as a line says, and is killed just before it changes authorized_keys
KILLED = f"""
import os, signal, sys
from pathlib import Path
from asyncamanda.core.protocol.joining import parse_join_request
from asyncamanda.server.enrol.joining import JoinSite, join
def die(client):
    os.kill(os.getpid(), signal.SIGKILL)
site = JoinSite(Path("{KEYS}"), "backup", die, die, die)
join(site, sys.argv[1], parse_join_request(sys.argv[2].encode()))
"""


@pytest.fixture(scope="module")
def lab(lab_prefix: Path) -> Iterator[Lab]:
    """Yield a lab whose server is set up and knows larch alone; the others know nothing."""
    with Lab(prefix=lab_prefix, clients=NAMES) as built:
        built.server.remove(SSH)
        built.server.write("/etc/asyncamanda/server.toml", 'batch_window = "0.5s"\n')
        for client in built.clients.values():
            client.remove(f"{SSH}/id_ed25519")
            client.remove(f"{SSH}/id_ed25519.pub")
            client.add_tree(DISK)
        done = serve(built, "invite", "larch", "--setup", "--disk", DISK, "--server", "amanda")
        found = COMMAND.search(done.stdout)
        assert found, done.stdout + done.stderr
        done = set_up(built.client, found[2], "--no-backup")
        assert done.returncode == 0, done.stdout + done.stderr
        yield built
        assert "Traceback" not in built.server.read(f"{STATE}/dispatcher.log")


def serve(lab: Lab, *words: str) -> Run:
    """Run `asyncamanda server` with these words, as root."""
    return lab.server.run([ASYNCAMANDA, "server", *words], check=False)


def invite(lab: Lab, *words: str) -> str:
    """Make an invitation; return its code."""
    done = serve(lab, "invite", *words, "--server", "amanda")
    assert done.returncode == 0, done.stderr
    found = COMMAND.search(done.stdout)
    assert found, done.stdout
    return found[2]


def listed(lab: Lab, names: str) -> dict[str, Any]:
    """Return what `server invite --list` has of the newest invitation for these names."""
    found = json.loads(serve(lab, "invite", "--list", "--json").stdout)
    return dict([one for one in found if one["names"] == names][-1])


def set_up(client: Client, code: str, *words: str) -> Run:
    """Run `setup --code` on a client."""
    argv = [PROGRAM, "setup", "amanda", "--code", code, "--no-schedule", "--wait", "1m", *words]
    return client.run(argv, check=False, timeout=120)


def join(client: Client, code: str, said: bytes | str, command: str = JOIN, *options: str) -> Run:
    """Say something to the server with a code's one-time key, as somebody may who has the code."""
    client.make_directory("/srv/cheat")
    client.write("/srv/cheat/key", render_private_key(parse_code(code).seed), mode=0o600)
    client.write("/srv/cheat/known", client.read(f"{SSH}/known_hosts"))
    client.write("/srv/cheat/said", said if isinstance(said, str) else said.decode("latin-1"))
    argv = ["ssh", "-i", "/srv/cheat/key", "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes"]
    argv += ["-o", "UserKnownHostsFile=/srv/cheat/known", *options, "backup@amanda", command]
    line = 'exec "$@" </srv/cheat/said'
    return client.run(["sh", "-c", line, "sh", *argv], check=False, timeout=60)


def request(client: Client, name: str, /, **more: object) -> str:
    """Return the line of a machine that wants to join by this name, with a key of its own."""
    key = f"/srv/cheat/of-{name}"
    client.make_directory("/srv/cheat")
    if not client.path(key).exists():
        client.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "x", "-f", key])
    said = {"client": name, "key": client.read(f"{key}.pub").strip(), "is_named": True, **more}
    return json.dumps(said) + "\n"


def error(done: Run) -> str:
    """Return the reference of the error that was answered."""
    return str(json.loads(done.stdout)["error"])


def test_one_line_brings_a_backup(lab: Lab) -> None:
    """No question, no fingerprint, no key to carry; the same line again changes nothing."""
    ash, server = lab.clients["ash"], lab.server
    code = invite(lab, "ash", "--disk", DISK)
    assert code not in server.read(KEYS) + server.read(STORE)
    done = set_up(ash, code.lower().replace("-", " "), "--backup")
    assert done.returncode == 0, done.stdout + done.stderr
    assert ask_json(ash, "status")["last_backup_at"], done.stdout
    assert f"ash {DISK} roaming" in server.read(DISKLIST)
    assert (listed(lab, "ash")["state"], listed(lab, "ash")["left"]) == ("used", 0)
    before = server.read(KEYS), server.read(STORE), server.read(DISKLIST)
    again = set_up(ash, code, "--no-backup")
    assert (again.returncode, again.stdout.count("done: ")) == (0, 1), again.stdout + again.stderr
    assert (server.read(KEYS), server.read(STORE), server.read(DISKLIST)) == before
    # another machine comes with it
    other = set_up(lab.clients["oak"], code, "--no-backup")
    assert (other.returncode, "used already, by ash" in other.stderr) == (REFUSED, True)
    assert "used already" in server.read(f"{STATE}/dispatcher.log")
    assert "used already" in listed(lab, "ash")["refused"]
    assert (server.read(KEYS), server.read(DISKLIST)) == (before[0], before[2])


def test_a_one_time_key_can_join_and_nothing_else(lab: Lab) -> None:
    """No shell, no other command of the gate's, no forwarding, no odd words; all change nothing."""
    oak, server = lab.clients["oak"], lab.server
    code = invite(lab, "oak")
    before = server.read(KEYS), server.read(DISKLIST)
    good = request(oak, "oak")
    for command in (
        "id",
        "asyncamanda gate",
        "asyncamanda gate restore",
        f"asyncamanda gate attach {'0' * 32}",
        "asyncamanda gate --client larch --amanda-config daily",
        f"{JOIN} 0000000000",
        f"{JOIN}; id",
        "x" * 100_000,
    ):
        done = join(oak, code, good, command)
        assert (done.returncode, error(done)) == (REFUSED, "code-no-shell"), command[:60]
    assert error(join(oak, code, "id\n", "")) == "code-no-shell"
    terminal = join(oak, code, "id\n", "", "-tt")
    assert (terminal.returncode, terminal.stdout) == (255, ""), terminal.stdout
    assert "PTY allocation request failed" in terminal.stderr
    forwards = join(oak, code, "", "", "-N", "-W", "localhost:22")
    assert "administratively prohibited" in forwards.stderr, forwards.stderr
    back = join(
        oak, code, "", "", "-N", "-R", "2299:localhost:22", "-o", "ExitOnForwardFailure=yes"
    )
    assert (back.returncode, "remote port forwarding failed" in back.stderr) == (255, True)
    for said in (
        "",
        good[:-1],
        "x" * 70_000,
        "[" * 60_000 + "\n",
        b"\xff\xfe\n",
        request(oak, "oak", client="oak --direct"),
        request(oak, "oak", disks=["/a\nlarch /etc roaming"]),
    ):
        done = join(oak, code, said)
        assert (done.returncode, error(done)) == (PROTOCOL, "join-not-understood"), said[:80]
    assert listed(lab, "oak")["state"] == "open"
    own = lab.clients["larch"].backup_key
    done = join(oak, code, request(oak, "oak", key=own))
    assert (done.returncode, error(done)) == (REFUSED, "key-in-use"), done.stdout
    done = join(oak, code, request(oak, "larch"))
    assert (done.returncode, error(done)) == (REFUSED, "code-other-name"), done.stdout
    assert "not for larch" in server.read(f"{STATE}/dispatcher.log")
    assert serve(lab, "invite", "--withdraw", "oak").returncode == 0
    assert error(join(oak, code, good)) == "code-withdrawn"
    assert (server.read(KEYS), server.read(DISKLIST)) == before


def test_codes_that_are_not_good_are_refused_before_or_after_they_are_sent(lab: Lab) -> None:
    """Mistyped, another server's, expired, unknown; a name that is enrolled gets none."""
    oak, server = lab.clients["oak"], lab.server
    code = invite(lab, "oak", "--expires", "1h")
    wrong = code[:-1] + ("0" if code[-1] != "0" else "1")
    done = set_up(oak, wrong)
    assert (done.returncode, "mistyped" in done.stderr) == (USAGE, True), done.stderr
    done = set_up(oak, code[:-2])
    assert (done.returncode, "this has 38" in done.stderr) == (USAGE, True), done.stderr
    keys = server.read("/etc/ssh/ssh_host_ed25519_key.pub")
    oak.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", "/srv/other"])
    server.write("/etc/ssh/ssh_host_ed25519_key.pub", oak.read("/srv/other.pub"))
    foreign = invite(lab, "oak", "--expires", "1h")
    server.write("/etc/ssh/ssh_host_ed25519_key.pub", keys)
    yew = lab.clients["yew"]
    done = set_up(yew, foreign)
    assert (done.returncode, "another server's" in done.stderr) == (REFUSED, True), done.stderr
    assert not yew.path(f"{SSH}/id_ed25519").exists()
    code = invite(lab, "oak", "--expires", "1h")
    text = re.sub(r'("expires_at": ")[^"]*', r"\g<1>2020-01-01T00:00:00Z", server.read(STORE))
    server.write(STORE, text, owner="backup", mode=0o600)
    done = set_up(oak, code)
    assert (done.returncode, "code expired at 2020" in done.stderr) == (REFUSED, True), done.stderr
    serve(lab, "invite", "fir")  # what ended long ago goes
    done = set_up(oak, code)
    assert (done.returncode, "does not accept this code" in done.stderr) == (REFUSED, True)
    serve(lab, "invite", "--withdraw", "fir")
    done = serve(lab, "invite", "LARCH")
    assert (done.returncode, "larch is enrolled already" in done.stderr) == (REFUSED, True)
    for words in (("larch", "--names", "x*"), (), ("--names", "x", "--count", "2"), ("a b",)):
        assert serve(lab, "invite", *words).returncode == USAGE
    server.run(["chown", "root", "/etc/amanda/daily", DISKLIST])
    done = serve(lab, "invite", "oak", "--disk", DISK)
    server.run(["chown", "backup", "/etc/amanda/daily", DISKLIST])
    assert (done.returncode, "cannot be changed by backup" in done.stderr) == (REFUSED, True)


def test_a_code_for_many_lets_in_as_many_and_no_name_that_was_ever_anybodys(lab: Lab) -> None:
    """Its pattern holds; of many at once as many join as may; names with backups stay theirs."""
    oak, server = lab.clients["oak"], lab.server
    code = invite(lab, "--names", "lab-*", "--count", "2", "--disk", DISK)
    server.add_dle("lab-old", DISK)
    server.run(["mkdir", "-p", "/var/lib/amanda/daily/curinfo/lab-gone"], user="backup")
    for name, reference in (
        ("larch", "code-other-name"),
        ("lab", "code-other-name"),
        ("lab-old", "name-taken"),
        ("LAB-OLD", "name-taken"),
        ("lab-gone", "name-taken"),
    ):
        done = join(oak, code, request(oak, name))
        assert (done.returncode, error(done)) == (REFUSED, reference), done.stdout
    names = [f"lab-{number}" for number in range(6)]
    ends = _join_at_once(oak, code, {name: request(oak, name) for name in names})
    won = sorted(name for name, status in ends.items() if status == 0)
    assert len(won) == 2, ends
    assert sorted(one["client"] for one in listed(lab, "lab-*")["joined"]) == won
    enrolled = {one["client"] for one in json.loads(serve(lab, "clients", "--json").stdout)}
    assert {name for name in enrolled if name.startswith("lab-")} == {*won}
    lines = [line.split()[0] for line in server.read(DISKLIST).splitlines() if line[:4] == "lab-"]
    assert sorted(lines) == sorted(["lab-old", *won])
    # one code, and many that want the same name at once
    code = invite(lab, "elm")
    requests = {f"elm-{n}": request(oak, f"elm-{n}", client="elm") for n in range(6)}
    ends = _join_at_once(oak, code, requests)
    assert sorted(ends.values()) == [0] + 5 * [REFUSED], ends
    (winner,) = [name for name, status in ends.items() if status == 0]
    assert oak.read(f"/srv/cheat/of-{winner}.pub").split()[1] in server.read(KEYS)
    for name in ("elm", *won):
        serve(lab, "revoke", name)
    assert error(join(oak, code, requests[winner])) == "code-used"  # what was revoked stays out


def _join_at_once(client: Client, code: str, requests: dict[str, str]) -> dict[str, int]:
    """Send all of them at the same time; return how each ended."""
    join(client, code, "\n")  # its files are there
    programs: dict[str, subprocess.Popen[str]] = {}
    for name, text in requests.items():
        client.write(f"/srv/cheat/{name}.said", text)
        argv = ["ssh", "-i", "/srv/cheat/key", "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes"]
        argv += ["-o", "UserKnownHostsFile=/srv/cheat/known", "backup@amanda", JOIN]
        line = f'exec "$@" </srv/cheat/{name}.said'
        programs[name] = client.start(["sh", "-c", line, "sh", *argv])
    return {name: program.wait(60) for name, program in programs.items()}


@pytest.mark.parametrize("state", ["begun", "disklist", "authorized_keys"])
def test_a_join_that_was_killed_is_ended_by_the_same_machine_alone(lab: Lab, state: str) -> None:
    """Whatever was written before: each file is as it was left there."""
    oak, server = lab.clients["oak"], lab.server
    name = f"cut-{state.replace('_', '-')}"
    code = invite(lab, name, "--disk", DISK)
    keys, disklist = server.read(KEYS), server.read(DISKLIST)
    assert join(oak, code, request(oak, name)).returncode == 0
    after = server.read(KEYS), server.read(DISKLIST)
    text = server.read(STORE)
    at = text.rindex('"is_done": true')
    server.write(STORE, text[:at] + text[at:].replace("true", "false", 1), owner="backup")
    if state != "authorized_keys":
        server.write(KEYS, keys, owner="backup", mode=0o600)
    if state == "begun":
        server.write(DISKLIST, disklist, owner="backup")
    other = request(oak, f"{name}-other", client=name)
    assert error(join(oak, code, other)) == "code-used"
    done = join(oak, code, request(oak, name))
    assert (done.returncode, json.loads(done.stdout)["client"]) == (0, name), done.stdout
    assert (server.read(KEYS), server.read(DISKLIST)) == after
    assert listed(lab, name)["joined"][0]["done"] is True
    # an hour later it may not go on, should it be revoked meanwhile
    serve(lab, "revoke", name)
    assert error(join(oak, code, request(oak, name))) == "code-used"


def test_who_began_first_has_the_code_though_it_was_killed(lab: Lab) -> None:
    """That a machine uses it is written before anything else is."""
    oak, server = lab.clients["oak"], lab.server
    assert join(oak, invite(lab, "killed"), request(oak, "killed")).returncode == 0
    found = COMMAND.search(serve(lab, "rekey", "killed", "--invite", "--server", "amanda").stdout)
    assert found
    keys, mine = server.read(KEYS), request(oak, "killed-again", client="killed")
    argv = ["/opt/asyncamanda/bin/python", "-c", KILLED, listed(lab, "killed")["invitation"], mine]
    died = server.run(argv, user="backup", check=False)
    assert (died.returncode in {-9, 137}, server.read(KEYS)) == (True, keys), died.stderr
    assert [one["done"] for one in listed(lab, "killed")["joined"]] == [False]
    other = request(oak, "killed-other", client="killed")
    assert error(join(oak, found[2], other)) == "code-used"
    assert join(oak, found[2], mine).returncode == 0
    assert oak.read("/srv/cheat/of-killed-again.pub").split()[1] in server.read(KEYS)
    assert oak.read("/srv/cheat/of-killed.pub").split()[1] not in server.read(KEYS)


def test_a_full_disk_at_the_server_costs_a_try_and_no_code(lab: Lab) -> None:
    """Nobody is half enrolled; with room the same line works."""
    pine, server = lab.clients["pine"], lab.server
    code = invite(lab, "pine", "--disk", DISK)
    before = server.read(KEYS), server.read(STORE), server.read(DISKLIST)
    server.fill_disk()
    done = set_up(pine, code, "--no-backup")
    server.free_disk()
    assert done.returncode != 0, done.stdout
    assert (server.read(KEYS), server.read(STORE), server.read(DISKLIST)) == before
    done = set_up(pine, code, "--no-backup")
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_machine_takes_the_place_of_one_that_lost_its_key(lab: Lab) -> None:
    """By `rekey --invite`: the name is the server's, the old key is worth nothing from then on."""
    larch, elm, server = lab.clients["larch"], lab.clients["elm"], lab.server
    done = serve(lab, "rekey", "larch", "--invite", "--server", "amanda")
    found = COMMAND.search(done.stdout)
    assert found, done.stdout + done.stderr
    assert larch.run([ASYNCAMANDA, "run", "--force"], check=False, timeout=90).returncode == 0
    setup = Terminal(elm, "setup", "amanda", "--code", found[2], "--no-schedule")
    setup.expect("asyncamanda restore --all --to /")
    setup.expect("Back up now anyway? [y/N]")
    setup.type("y")
    assert setup.end() == 0, setup.said
    done = elm.run([ASYNCAMANDA, "restore", "--all", "--to", "/"], check=False)
    assert (done.returncode, "--at latest" in done.stderr) == (USAGE, True), done.stderr
    assert 'name = "larch"' in re.sub(" +", " ", elm.read("/etc/asyncamanda/client.toml"))
    assert ask_json(elm, "status")["last_backup_at"], setup.said
    keys = server.read(KEYS)
    assert elm.backup_key.split()[1] in keys
    assert larch.backup_key.split()[1] not in keys
    again = larch.run([ASYNCAMANDA, "run", "--force"], check=False, timeout=90)
    assert again.returncode == REFUSED, again.stderr
    # a code that the next key makes needless is withdrawn
    done = serve(lab, "rekey", "larch", "--invite", "--server", "amanda")
    assert serve(lab, "rekey", "larch", "--key", larch.backup_key).returncode == 0
    found = COMMAND.search(done.stdout)
    assert found
    assert error(join(elm, found[2], request(elm, "larch"))) == "code-withdrawn"
    wait_until("larch is let in", lambda: "larch" in server.read(KEYS), 5)
