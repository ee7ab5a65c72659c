"""Two machines with one key: a copy of a laptop, and all that only looks like one.

Everything is copied: the key, the state folder, the machine's id.
"""

import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.fresh import Terminal
from tests.e2e.laptop import ASYNCAMANDA, Run, outcomes, wait_until
from tests.e2e.office import DISK, STATE, Office, ends, open_office
from tests.e2e.thief import MEMORY, Talk, Thief, make_hello, read_ticket

from asyncamanda.core.model import DumpState
from asyncamanda.core.protocol.messages import Bye, Hello, Submit
from asyncamanda.core.protocol.wire import encode
from lab import Client

PROTOCOL, REFUSED, LATER = 76, 77, 75
COPIED = ("/etc/machine-id", "/etc/asyncamanda/client.toml", MEMORY)


@pytest.fixture
def office(lab_prefix: Path) -> Iterator[Office]:
    """Yield an office with a laptop that was backed up, and a machine that is to be its copy."""
    with open_office(lab_prefix, "laptop", "copy") as opened:
        opened.fill("laptop")
        opened.client("copy").add_tree(DISK)
        opened.client("laptop").write("/etc/machine-id", "7" * 32 + "\n")
        opened.set_up()
        opened.ask("server", "revoke", "copy")
        first = opened.backup("laptop")
        assert first.returncode == 0, first.stderr + opened.diary
        yield opened


def copy_laptop(office: Office) -> None:
    """Let the machine `copy` be what the laptop is now, but for its host name."""
    laptop, copy = office.client("laptop"), office.client("copy")
    home = laptop.account("backup").home
    for path in (*COPIED, f"{home}/.ssh/id_ed25519", f"{home}/.ssh/id_ed25519.pub"):
        mode = laptop.path(path).stat().st_mode & 0o777
        copy.make_directory(str(Path(path).parent))
        copy.write(path, laptop.read(path), owner="backup", mode=mode)
    copy.run(["chown", "backup", str(Path(MEMORY).parent)])


def refusal(run: Run) -> str:
    """Return the words with which a start was refused as a second machine's."""
    assert run.returncode == REFUSED, run.stdout + run.stderr
    assert "two machines use the key of laptop" in run.stderr, run.stderr
    return run.stderr


def shown(office: Office) -> dict[str, Any]:
    """Return what `server clients` has of the laptop."""
    rows = json.loads(office.ask("server", "clients", "--json").stdout)
    return next(row for row in rows if row["client"] == "laptop")


def count(office: Office, words: str) -> int:
    """Return in how many lines of the log these words stand."""
    return sum(words in line for line in office.diary.splitlines())


def test_copy_that_comes_after_the_laptop_is_named_to_both_and_settled(office: Office) -> None:
    """Neither is served until the administrator settles it; who comes then begins with a full."""
    copy_laptop(office)
    assert office.backup("laptop", "--force").returncode == 0
    words = refusal(office.backup("copy", "--force"))
    assert "laptop (last here " in words
    assert "copy (" in words
    assert "asyncamanda setup" in words
    assert "asyncamanda server enroll laptop" in words
    assert outcomes(office.client("copy"))[-1] == "refused"
    assert "copy (" in refusal(office.backup("laptop", "--force"))
    refusal(office.backup("copy", "--force"))
    assert count(office, "two machines use") == 1
    second = shown(office)["second_machine"]
    assert second["host"] == "copy"
    assert datetime.fromisoformat(second["at"])
    assert shown(office)["host"] == "laptop"
    assert "two machines use the key of laptop" in office.ask("server", "clients").stdout
    assert len(office.dumps()) == 2
    doctor = office.ask("server", "doctor", "laptop", check=False)
    assert doctor.returncode == 78, doctor.stdout
    assert "machine" in doctor.stdout
    assert "two machines use the key of laptop" in " ".join(doctor.stdout.split())

    settled = office.ask("server", "enroll", "laptop")
    assert "the next machine" in settled.stdout
    assert shown(office)["second_machine"] is None
    again = office.backup("laptop", "--json")  # due at once: who knows whose dumps those were
    assert again.returncode == 0, again.stderr + office.diary
    assert json.loads(again.stdout.splitlines()[-1])["outcome"] == "backed up"
    assert [v.level for v in office.dumps()[-1].verdicts] == [0]
    refusal(office.backup("copy", "--force"))
    assert len(office.dumps()) == 3


def test_copy_may_be_the_one_that_stays(office: Office) -> None:
    """After it was settled the next machine is the client, and hears nothing of the other one."""
    copy_laptop(office)
    assert office.backup("laptop", "--force").returncode == 0
    refusal(office.backup("copy", "--force"))
    office.ask("server", "enroll", "laptop")
    taken = office.backup("copy")
    assert taken.returncode == 0, taken.stderr + office.diary
    assert taken.stdout.startswith("backed up in ")
    assert [v.level for v in office.dumps()[-1].verdicts] == [0]
    assert office.server.restore("laptop", DISK) == office.client("copy").tree(DISK)
    refusal(office.backup("laptop", "--force"))


def test_copy_that_comes_while_the_laptop_is_dumped_disturbs_nothing(office: Office) -> None:
    """The dump goes on to its end, and only the laptop is told about it; then neither is served."""
    laptop = office.client("laptop")
    laptop.add_tree(DISK, files=4, bytes_each=500_000)
    copy_laptop(office)
    laptop.slow(1_000_000)
    agent = office.start("laptop", "--force")
    office.wait_for_dump("laptop")
    refusal(office.backup("copy", "--force"))
    laptop.heal()
    ((code, words),) = ends([agent])
    assert code == 0, words + office.diary
    assert outcomes(laptop)[-1] == "backed up"
    assert "copy (" in refusal(office.backup("laptop", "--force"))
    assert len(office.dumps()) == 2
    assert office.failures() == []


def test_copy_that_comes_while_the_laptop_waits_ends_that(office: Office) -> None:
    """Nothing is dumped of which nobody knows whose it is: its request is withdrawn."""
    copy_laptop(office)
    office.kill("server dispatch")
    office.configure({"batch_window": "5m"})
    agent = office.start("laptop", "--force")
    wait_until("it waits", lambda: bool(office.view().get("waiting")))
    refusal(office.backup("copy", "--force"))
    ((code, words),) = ends([agent])
    assert code == REFUSED, words
    assert "two machines use the key of laptop" in words
    assert office.view()["waiting"] == []
    assert len(office.dumps()) == 1


def test_what_is_said_after_the_welcome_shows_that_the_ticket_is_written(office: Office) -> None:
    """By either word the one before is a copy's from then on, for whoever only looks as well."""
    thief = Thief(office.client("laptop"))
    thief.connect()
    for word in (Bye(), Submit()):
        old = read_ticket(thief.client)
        assert thief.greet().end(encode(word).decode())[0] == 0
        hello = Hello((1,), "a test", is_watching=False, ticket=old, is_probe=True)
        talk = thief.talk()
        talk.say(encode(hello).decode())
        assert talk.hear("refused")["reference"] == "second-machine"
        assert talk.end()[0] == REFUSED
    assert shown(office)["second_machine"] is None


def test_who_only_looks_may_not_ask(office: Office) -> None:
    """It has no ticket, so nobody would know whose dump that is."""
    thief = Thief(office.client("laptop"))
    thief.connect()
    no = thief.greet(is_probe=True).refusal(encode(Submit()).decode(), PROTOCOL)
    assert "a probe asks for no backup" in no["message"]
    assert len(office.dumps()) == 1


def test_two_that_come_at_once_are_not_both_served(office: Office) -> None:
    """Whichever was second is refused, and in the end both are told."""
    copy_laptop(office)
    both = [office.start(name, "--force") for name in ("laptop", "copy")]
    codes = {code for code, _ in ends(both)}
    assert REFUSED in codes
    office.wait_idle()
    for name in ("laptop", "copy"):
        refusal(office.backup(name, "--force"))
    assert len(office.dumps()) <= 2


def test_copy_becomes_a_client_of_its_own(office: Office) -> None:
    """By a new key, which is made once, and by another name; the laptop is left alone."""
    copy_laptop(office)
    copy = office.client("copy")
    office.server.add_dle("copy", DISK)
    wrong = set_up(copy, "--name", "copy")
    assert wrong.returncode == 78, wrong.stdout + wrong.stderr
    assert "--new-key" in wrong.stderr
    for _ in range(2):
        waiting = set_up(copy, "--name", "copy", "--new-key")
        assert waiting.returncode == LATER, waiting.stdout + waiting.stderr
        assert copy.backup_key in waiting.stdout
    assert copy.backup_key != office.client("laptop").backup_key
    home = copy.account("backup").home
    assert len(list(copy.path(f"{home}/.ssh").glob("id_ed25519.old-*.pub"))) == 1
    office.ask("server", "enroll", "copy", "--key", copy.backup_key)
    done = set_up(copy, "--name", "copy", "--new-key")
    assert done.returncode == 0, done.stdout + done.stderr
    for name in ("copy", "laptop", "copy"):
        run = office.backup(name, "--force")
        assert run.returncode == 0, run.stderr + office.diary
    assert set(office.confirmed()) == {("laptop", DISK), ("copy", DISK)}


def test_copy_on_a_terminal_is_asked(office: Office) -> None:
    """Once the server has said that there are two; a no leaves its key as it is."""
    copy_laptop(office)
    copy = office.client("copy")
    assert office.backup("laptop", "--force").returncode == 0
    key = copy.backup_key
    for answer in ("no", "yes"):
        terminal = Terminal(copy, "setup", "amanda", "--no-schedule", "--name", "copy")
        terminal.expect("two machines use the key of laptop")
        terminal.expect("Make a new key for it?")
        assert copy.backup_key == key
        terminal.type(answer)
        if answer == "yes":
            line = terminal.expect_line()
            assert copy.backup_key.split()[1] in line
            terminal.press("c")
        assert terminal.end() == (LATER if answer == "yes" else REFUSED), terminal.said
    assert copy.backup_key != key
    assert shown(office)["second_machine"] is None  # to look is not to come
    assert office.backup("laptop", "--force").returncode == 0


def set_up(client: Client, *words: str) -> Run:
    """Run `asyncamanda setup` where there is no terminal."""
    argv = [ASYNCAMANDA, "setup", "amanda", "--no-schedule", "--no-backup", "--wait", "1s", *words]
    return client.run(argv, check=False)


def test_machine_without_its_memory_is_no_second_one(office: Office) -> None:
    """It was lost, or put away; that is said once, and costs nobody a backup."""
    laptop = office.client("laptop")
    for _ in range(2):
        laptop.path(MEMORY).unlink()
        run = office.backup("laptop", "--force")
        assert run.returncode == 0, run.stderr + office.diary
    assert count(office, "laptop came without a ticket") == 1
    assert shown(office)["second_machine"] is None
    assert office.backup("laptop", "--force").returncode == 0


def test_ticket_that_never_arrived_makes_no_second_machine(office: Office) -> None:
    """Cut before it was written down: the machine comes with the one before, as often as it is."""
    laptop = office.client("laptop")
    thief = Thief(laptop)  # an agent that dies before it writes
    thief.connect()
    before = read_ticket(laptop)
    for _ in range(2):
        talk = Talk(thief.talk().program)  # which keeps nothing of what it hears
        talk.say(make_hello(laptop))
        assert talk.hear("welcome")["ticket"] not in {"", before}
        talk.program.kill()
        talk.program.communicate()
        wait_until("it has left", lambda: office.connected() == [])
    run = office.backup("laptop", "--force")
    assert run.returncode == 0, run.stderr + office.diary
    assert count(office, "laptop came with the ticket before its last") == 1
    assert office.backup("laptop", "--force").returncode == 0
    assert shown(office)["second_machine"] is None


def test_lost_ledger_keeps_nobody_out(office: Office) -> None:
    """A new one knows no ticket: whoever comes is taken for the client, and that is said once."""
    wait_until("the dispatcher has ended", lambda: not office.pids("server dispatch"), 120)
    for path in office.server.path(STATE).glob("ledger.sqlite*"):
        path.unlink()
    assert office.backup("laptop", "--force").returncode == 0
    assert count(office, "laptop came with a ticket that the ledger does not know") == 1
    assert [v.level for v in office.dumps()[-1].verdicts] == [1]
    assert office.backup("laptop", "--force").returncode == 0
    assert set(office.confirmed().values()) == {DumpState.HELD}
