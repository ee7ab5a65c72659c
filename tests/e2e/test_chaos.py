"""Anything is killed, stopped or cut at any moment, and the next request is served anyway.

    ASYNCAMANDA_CHAOS_ROUNDS=50 ASYNCAMANDA_CHAOS_SEED=$RANDOM ./test e2e -q -s -k chaos

With the same seed the same things happen at the same moments, as far as machines go.
"""

import os
import random
import subprocess
import sys
import time
from pathlib import Path

from tests.e2e.office import DISK, LOGDIR, Office, ends, open_office

NAMES = ("ash", "birch", "cedar", "doum")
ROUNDS = int(os.environ.get("ASYNCAMANDA_CHAOS_ROUNDS", "3"))
SEED = int(os.environ.get("ASYNCAMANDA_CHAOS_SEED", "7"))
SILENT_SECONDS = 240  # in which every request has an answer, whatever happened
LATEST = 7.0  # seconds after the start at which something happens: the dump is well under way
SLOW = 2_000_000  # bits a second
SETTINGS = {"max_runs": 3, "batch_window": "0.3s"}
WATCH = {"silence": "60s", "dump_silence": "30s", "step": "4s"}
OFTEN = {"requests_per_hour": 10_000}  # each asks more often than a client has to

# by the command line; of Amanda's at the server, of asyncamanda's at the server, of the clients'
AMANDA = ("/amanda/driver", "/amanda/planner", "^dumper", "/amanda/chunker", "/usr/sbin/amdump")
OURS = ("server dispatch", "asyncamanda gate --client", "^/usr/bin/ssh -x .*amandad")
CLIENTS = ("^ssh -M ", "amandad -auth=ssh", "amanda/sendsize", "amanda/sendbackup", "bin/tar ")


def test_chaos_leaves_nobody_without_an_answer_or_a_backup(lab_prefix: Path) -> None:
    """Each round four laptops ask, something dies or is stuck, and then each is served."""
    chance = random.Random(SEED)  # noqa: S311 (what happens, not a secret)
    tell(f"seed {SEED}, {ROUNDS} rounds")
    with open_office(lab_prefix, *NAMES, nat=True) as office:
        for name in NAMES:
            office.fill(name, files=2, bytes_each=400_000)
        office.set_up(SETTINGS, watch=WATCH, limits=OFTEN)
        for number in range(ROUNDS):
            what = make_trouble(office, chance)
            tell(f"round {number}: {what}")
            check_all_served(office, f"seed {SEED}, round {number}: {what}")
        for name in NAMES:
            assert office.server.restore(name, DISK) == office.client(name).tree(DISK)


def tell(what: str) -> None:
    """Say at once what happens, for a reader of -s."""
    sys.stderr.write(f"{what}\n")
    sys.stderr.flush()


def make_trouble(office: Office, chance: random.Random) -> str:
    """Let some clients ask, do something to somebody, and return what, when all have an answer."""
    asking = chance.sample(NAMES, chance.randint(1, len(NAMES)))
    victim = chance.choice(asking)
    if chance.random() < 0.5:
        office.client(victim).slow(SLOW)
    agents = [office.start(name, "--force") for name in asking]
    moment = chance.uniform(0, LATEST)
    time.sleep(moment)
    act = chance.choice((at_server, at_server, at_client, cut))
    what = f"{'+'.join(asking)} after {moment:.1f} s: {act(office, victim, chance)}"
    try:
        ends(agents, SILENT_SECONDS)
    except subprocess.TimeoutExpired as error:
        raise AssertionError(f"seed {SEED}: silent after {what}\n{scene(office)}") from error
    for name in asking:
        office.client(name).heal()
    return what


def scene(office: Office) -> str:
    """Return what a reader needs to see why: the log, who runs, and what Amanda wrote last."""
    newest = f"ls -t {LOGDIR}/amdump.2* | head -n 3 | xargs tail -n 40"
    looks = ["sh", "-c", f"ps -eo pid,ppid,stat,etimes,args; {newest}"]
    seen = office.server.run(looks, check=False).stdout
    return f"{office.diary}\n{seen}"


def at_server(office: Office, _victim: str, chance: random.Random) -> str:
    """Kill or stop one of the server's processes, Amanda's or ours, if there is one."""
    sign, pattern = chance.choice(("KILL", "STOP")), chance.choice(AMANDA + OURS)
    office.server.run(["pkill", f"-{sign}", "-n", "-f", "--", pattern], check=False)
    return f"{sign} to the server's {pattern}"


def at_client(office: Office, victim: str, chance: random.Random) -> str:
    """Kill or stop something of the client's."""
    sign, pattern = chance.choice(("KILL", "STOP")), chance.choice(CLIENTS)
    office.client(victim).run(["pkill", f"-{sign}", "-n", "-f", "--", pattern], check=False)
    return f"{sign} to {victim}'s {pattern}"


def cut(office: Office, victim: str, chance: random.Random) -> str:
    """Cut the client's cable, for a while."""
    seconds = chance.choice((1, 5, 20))
    office.client(victim).cut()
    time.sleep(seconds)
    office.client(victim).heal()
    return f"{victim} is cut for {seconds} s"


def check_all_served(office: Office, what: str) -> None:
    """Fail unless each client that asks now is backed up, and what counts can be found."""
    agents = [office.start(name, "--force") for name in NAMES]
    try:
        done = ends(agents, SILENT_SECONDS)
    except subprocess.TimeoutExpired as error:
        raise AssertionError(f"not served after {what}\n{scene(office)}") from error
    if any(code for code, _ in done):
        words = "\n".join(f"{code}: {said}" for code, said in done)
        raise AssertionError(f"not served after {what}\n{words}\n{scene(office)}")
    confirmed = office.confirmed()
    for name in NAMES:
        assert (name, DISK) in confirmed, what
        assert office.server.stored(name, DISK), what
