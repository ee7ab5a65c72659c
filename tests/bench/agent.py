"""Benchmarks of the agent's start: nothing due, a long amandates, and the way to the server."""

import json
import statistics
from dataclasses import dataclass

from tests.e2e.laptop import ASYNCAMANDA, configure

from lab import Client, Host, Lab

ROUNDS = 40
AMANDATES = "/var/lib/amanda/amandates"
COMMAND = "/usr/sbin/amdump daily"
CLASSIC = [ASYNCAMANDA, "-i", "24", "-h", "backup@amanda", "-c", COMMAND, "-a", AMANDATES]
PASS = ["/usr/bin/python3", "-I", "-c", "pass"]
PERL = ["perl", "-MGetopt::Long", "-MNet::OpenSSH", "-MTime::ParseDate", "-e", "1"]
# the newest time in the file, as a short script in Perl finds it
PERL_READ = [
    "perl",
    "-ne",
    r'/ (\d+)$/ and $1 > $m and $m = $1; END { print "$m\n" }',
    "/var/lib/amanda/long",
]

# Runs each command in turn, ROUNDS times over; prints for each [seconds], [peak KiB], exit.
MEASURE = """
import json, os, sys, time
commands, rounds = json.load(sys.stdin)
null = os.open(os.devnull, os.O_RDWR)
results = [[[], [], 0] for _ in commands]
for _ in range(rounds):
    for command, (seconds, memory, _) in zip(commands, results):
        begun = time.perf_counter()
        pid = os.posix_spawnp(command[0], command, os.environ, file_actions=[
            (os.POSIX_SPAWN_DUP2, null, 0), (os.POSIX_SPAWN_DUP2, null, 1),
            (os.POSIX_SPAWN_DUP2, null, 2)])
        _, status, usage = os.wait4(pid, 0)
        seconds.append(time.perf_counter() - begun)
        memory.append(usage.ru_maxrss)
        results[commands.index(command)][2] = os.waitstatus_to_exitcode(status)
json.dump(results, sys.stdout)
"""


@dataclass(frozen=True, slots=True)
class Timing:
    """What several runs of one command took: the median in seconds, and the peak in MiB."""

    seconds: float
    mebibytes: float
    exit: int


def measure(
    client: Host, commands: list[list[str]], rounds: int = ROUNDS, user: str = "root"
) -> list[Timing]:
    """Return a timing for each of `commands`, run in turn on `client`."""
    given = json.dumps([commands, rounds])
    argv = ["/usr/bin/python3", "-I", "-c", MEASURE]
    printed = client.run(argv, stdin=given, timeout=900, user=user).stdout
    return [
        Timing(statistics.median(seconds), max(memory) / 1024, code)
        for seconds, memory, code in json.loads(printed)
    ]


_SCALES = {"ms": 1000.0, "s": 1.0, "MB": 1e-6}


def report(name: str, ours: float, baseline: float, target: str, of: str, unit: str = "ms") -> None:
    """Print one line: the ratio, both figures (been ignored seconds or bytes), and the target."""
    scale = _SCALES[unit]
    figures = f"{ours * scale:.1f} / {baseline * scale:.1f} {unit}"
    print(f"  {name:<26}{ours / baseline:5.2f} x {of:<22}{figures:>18}   {target}")


def write_amandates(client: Client, lines: int, path: str = AMANDATES) -> None:
    """Write a file of `lines`, of disks that are all fresh, that looks as Amanda's would."""
    script = (
        "import sys,time; n=int(sys.argv[1]); t=int(time.time())-3600; levels=min(n,400)\n"
        f"with open({path!r},'w') as f:\n"
        " for i in range(n):\n"
        "  f.write(f'/srv/home/user{i//levels:05d} {i%levels} {t-levels+i%levels}\\n')"
    )
    client.run(["/usr/bin/python3", "-I", "-c", script, str(lines)])


def leave_notes(client: Client, *commands: list[str]) -> None:
    """Let each of `commands` find nothing due, and leave its note, which takes a file at rest."""
    client.run(["sleep", "2.5"])
    for command in commands:
        client.run(command)


def bench_quick_way(lab: Lab) -> None:
    """Compare a start that finds nothing due with a bare Python and a bare Perl."""
    client = lab.client
    configure(client)
    write_amandates(client, 2)
    leave_notes(client, [ASYNCAMANDA, "run"], CLASSIC)
    run, classic, python, perl = measure(client, [[ASYNCAMANDA, "run"], CLASSIC, PASS, PERL])
    assert (run.exit, classic.exit, perl.exit) == (0, 0, 0)
    print("Nothing due, as installed")
    for name, ours in (("run", run), ("classic form", classic)):
        report(name, ours.seconds, python.seconds, "<= 1.5", "python3 -I -c pass")
        report(name, ours.seconds, perl.seconds, "< 1", "perl, 3 modules")


def bench_long_amandates(lab: Lab) -> None:
    """Compare a file of a million lines with a short one, and with a script in Perl."""
    client = lab.client
    forms = []
    for name, lines in (("long", 1_000_000), ("short", 2)):
        amandates, toml = f"/var/lib/amanda/{name}", f"/etc/asyncamanda/{name}.toml"
        write_amandates(client, lines, amandates)
        configure(client, amandates=amandates)
        client.run(["mv", "/etc/asyncamanda/client.toml", toml])
        run = [ASYNCAMANDA, "run", "--config", toml]
        forms.append((run, [*run, "--dry-run"]))
    (long_run, long_check), (short_run, short_check) = forms
    client.run(["sync"])
    leave_notes(client, long_run, short_run)
    unchanged, short = measure(client, [long_run, short_run])
    anew, start, perl = measure(client, [long_check, short_check, PERL_READ], 9)
    assert (unchanged.exit, short.exit, anew.exit, start.exit) == (0, 0, 0, 0)
    print("amandates of a million lines (2,500 disks at 400 levels)")
    report("unchanged", unchanged.seconds, short.seconds, "~ 1", "a short one")
    reading = anew.seconds - start.seconds
    report("read anew", reading, perl.seconds, "<= 1000 ms", "a loop in Perl")
    report("... and all of its start", anew.seconds, start.seconds, "", "run --dry-run, short")
    print(f"  {'peak memory, read anew':<26}{anew.mebibytes:.0f} MiB   <= 64")


def bench_connect(lab: Lab) -> None:
    """Compare the way from the agent's start to the command's with `ssh host true`."""
    client, server = lab.client, lab.server
    stamp = "/srv/amanda/stamp"
    configure(client, command=f"date +%s.%N > {stamp}; exit 1", settle="1s")
    client.write(AMANDATES, "")
    ssh = ["ssh", "-o", "BatchMode=yes", "backup@amanda", "true"]
    agent_seconds, ssh_seconds = [], []
    begin_and_run = f"date +%s.%N; exec {ASYNCAMANDA} run 2>&1"
    for _ in range(15):
        begun = float(client.run(["sh", "-c", begin_and_run], check=False).stdout.split()[0])
        agent_seconds.append(float(server.read(stamp)) - begun)
        ssh_seconds.append(measure(client, [ssh], 1, user="backup")[0].seconds)
    print("From start to the command's, over ssh")
    ours, bare = statistics.median(agent_seconds), statistics.median(ssh_seconds)
    report("run, due", ours, bare, "<= 1.5", "ssh host true")
