"""Amanda's own commands on the server: what they are asked, and what they say.

Everything runs as the Amanda user, in a session of its own: a signal to the dispatcher is not
theirs, and which processes belong to a run can be seen (system/processes.py).
"""

import asyncio
import math
import subprocess
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

from asyncamanda.core.amanda.config import parse_config, to_kib
from asyncamanda.core.amanda.volumes import NO_VOLUMES, Volumes
from asyncamanda.errors import ConfigurationError, LaterError
from asyncamanda.server.background.programs import PATIENCE, run_apart
from asyncamanda.system.account import as_own_user
from asyncamanda.system.processes import Process, began_at, iterate_processes, read_argv
from asyncamanda.system.programs import Answer, plain_environ, run_program

NO_TAPER, NO_FLUSH = "--no-taper", "--no-flush"
_ANY_LENGTH = 1_000_000  # volumes, of which a run without a taper uses none
_NO_THRESHOLDS = ("-oflush-threshold-dumped=0", "-oflush-threshold-scheduled=0", "-otaperflush=0")
ACK_WAIT = timedelta(seconds=10)
SPARE_TRIES = 3  # as Amanda has it by default
SLACK_SECONDS = 2.0  # by which a process's beginning and a file's time may be off

# the programs of a run, whose presence means that something writes to the holding disk or a
# volume. ps shows amdump and others as `perl /usr/sbin/amdump CONFIG ...`, and dumpers by number
_WORKERS = frozenset({"amdump", "amflush", "amcleanup", "planner", "driver", "taper", "amvault"})

_WRITERS = _WORKERS | {"dumper", "chunker"}  # what writes a run's log

# Started by this shell only when we have written down its process id: were we killed before,
# it reads the end of file, and Amanda is not started at all.
_WHEN_NOTED = 'read -r go && exec "$@" </dev/null'


@dataclass(frozen=True, slots=True)
class Settings:
    """What an Amanda configuration says: its folders, holding disks and volumes.

    `holding_uses` are how much may be used of each holding disk, in KiB. `vtapes` are the folders
    of its virtual tapes; `has_other_volumes`: it writes to others, too. `storages` are those that
    it writes to, as far as amanda.conf defines them: Amanda also prints the one that it makes up.
    """

    name: str
    logdir: Path
    holding: tuple[Path, ...]
    holding_uses: tuple[int, ...]
    infofile: Path = Path("/nonexistent")
    vtapes: tuple[Path, ...] = ()
    diskfile: Path = Path("/nonexistent")
    tapelist: Path = Path("/nonexistent")
    has_other_volumes: bool = False
    volumes: Volumes = NO_VOLUMES
    storages: tuple[str, ...] = ()

    @property
    def run_tapes_places(self) -> tuple[str, ...]:
        """Where `runtapes` stands: for all, and in each storage that is defined, which counts."""
        return ("", *(f"storage:{name}:" for name in self.storages))

    @property
    def folder(self) -> Path:
        """What the relative paths of the configuration begin at."""
        return Path("/etc/amanda", self.name)

    @property
    def hold_file(self) -> Path:
        """As long as there is such a file, each amdump waits before it does anything."""
        return self.folder / "hold"


def plan_amdump(
    settings: Settings,
    hosts: Sequence[str],
    grace: timedelta,
    diskfile: Path | None = None,
    run_tapes: int = 0,
) -> list[str]:
    """Return the argv of a run for `hosts`; a call of it may be held for `grace` (relay.py).

    Amanda asks a client that does not answer again every ten seconds, `req-tries` times in all,
    and three of them are too few (protocol.c, ACK_WAIT; tests/e2e/test_relay_faults.py shows it).

    Host arguments are patterns without --exact-match. Without a taper no volume is used, and
    runs can overlap, with care (docs/design/0010): `diskfile` is a disklist with the DLEs of
    `hosts` alone, so that its driver knows no other run's dumps; None: the configuration's own.
    The planner counts the volumes' length anyway: one large disk, and it leaves out others.

    With `run_tapes` it has a taper, which may take so many volumes, and what the holding disk has
    no room for goes straight to them. What is held of earlier runs stays there.
    """
    tries = SPARE_TRIES + math.ceil(grace / ACK_WAIT)
    if run_tapes:
        options = [NO_FLUSH, *_NO_THRESHOLDS]
    else:
        options, run_tapes = [NO_TAPER], _ANY_LENGTH
    options += [f"-o{place}runtapes={run_tapes}" for place in settings.run_tapes_places]
    options += ["--exact-match", "-omailto=", f"-oreq-tries={tries}"]
    options += [f"-odiskfile={diskfile}"] if diskfile else []
    return ["amdump", settings.name, *options, *hosts]


def plan_amflush(amanda_config: str) -> list[str]:
    """Return the argv of a flush of all that is held, which asks nothing and stays in front.

    A configuration may have thresholds, for the amdump of others; with them amflush ends well
    and writes nothing (tests/e2e/test_setup.py shows it).
    """
    return ["amflush", "-b", "-f", "-omailto=", *_NO_THRESHOLDS, amanda_config]


def plan_force(amanda_config: str, kind: str, host: str) -> list[str]:
    """Return the argv that forces a full, or forbids a bump, at the next dump of one DLE.

    It is the host's only one in the disklist that is its stdin (core/amanda/disklist.py,
    render_lone_dle()). By the configuration's own amadmin would take each DLE whose *device* is
    the disk's name for meant, too, whatever marks the name as exact (amanda-match(7) has that,
    tests/e2e/test_same_device.py shows it).
    """
    return ["amadmin", amanda_config, "-odiskfile=/dev/stdin", kind, f"={host}"]


def plan_hosts(amanda_config: str) -> list[str]:
    """Return the argv that prints the hosts of the disklist, one a line."""
    return ["amadmin", amanda_config, "hosts"]


def plan_force_all(amanda_config: str, host: str) -> list[str]:
    """Return the argv that forces a full of each disk of a host."""
    return ["amadmin", amanda_config, "force", f"={host}"]


def launch_paused(argv: Sequence[str], output: Path) -> "subprocess.Popen[bytes]":
    """Start `argv` in a session of its own, waiting for release(); its words go to `output`.

    The process id is the program's own, before and after. What lies there is of a run of that
    number in a ledger that is gone.
    """
    output.unlink(missing_ok=True)
    with output.open("xb") as words:
        return subprocess.Popen(
            ["/bin/sh", "-c", _WHEN_NOTED, "sh", *argv],
            stdin=subprocess.PIPE,
            stdout=words,
            stderr=words,
            env=plain_environ(),
            cwd="/",
            start_new_session=True,
        )


def release(process: "subprocess.Popen[bytes]") -> None:
    """Let what launch_paused() started go on."""
    assert process.stdin
    with suppress(OSError):  # it is dead already, which its end will tell
        process.stdin.write(b"go\n")
        process.stdin.flush()
    with suppress(OSError):
        process.stdin.close()


async def read_settings(amanda_config: str) -> Settings:
    """Return what the configuration says.

    Raises ConfigurationError if Amanda cannot tell, and LaterError if it could not be asked.
    """
    settings = parse_settings(amanda_config, await run_apart(plan_config(amanda_config)))
    told = [plan_config(amanda_config, f"-ostorage:{one}:runtapes=1") for one in settings.storages]
    answers = await asyncio.gather(*map(run_apart, told))
    pairs = zip(settings.storages, answers, strict=True)
    return replace(settings, storages=tuple(one for one, said in pairs if said.status == 0))


def read_settings_now(amanda_config: str) -> Settings:
    """Return the same, without an event loop; its storages are not looked at any closer."""
    return parse_settings(amanda_config, run_program(plan_config(amanda_config), PATIENCE))


def plan_config(amanda_config: str, *options: str) -> list[str]:
    """Return the argv that prints what parse_settings() reads."""
    return ["amadmin", amanda_config, *options, "config"]


def parse_settings(amanda_config: str, answer: Answer) -> Settings:
    """Return what the configuration says.

    Raises what check_answer() raises, and ConfigurationError if it cannot be used.
    """
    check_answer(amanda_config, answer)
    config = parse_config(answer.stdout)
    if config.value("USETIMESTAMPS").lower() in {"no", "false", "off", "0"}:
        raise _unusable(amanda_config, "usetimestamps is off, so runs of one day look alike")
    if not config.value("LOGDIR"):
        raise _unusable(amanda_config, "amadmin config does not say where its logs are")
    folder = Path("/etc/amanda", amanda_config)
    names = config.values.get("HOLDINGDISK", ())
    places = [folder / config.block_value("HOLDINGDISK", name, "DIRECTORY") for name in names]
    return Settings(
        name=amanda_config,
        logdir=folder / config.value("LOGDIR"),
        holding=tuple(places),
        holding_uses=tuple(
            to_kib(config.block_value("HOLDINGDISK", name, "USE")) for name in names
        ),
        infofile=folder / config.value("INFOFILE"),
        vtapes=tuple(folder / place for place in config.find_vtapes()),
        diskfile=folder / config.value("DISKFILE"),
        tapelist=folder / (config.value("TAPELIST") or "tapelist"),
        has_other_volumes=config.has_other_volumes,
        volumes=config.find_volumes(),
        storages=config.find_storages(),
    )


def first_fault(answer: Answer) -> str:
    """Return the first that a command said of what is wrong; the last only says that something is.

    Its warnings are passed over.
    """
    faults = [line for line in answer.complaints if "warning" not in line.lower()]
    return (faults or answer.complaints)[0]


def check_answer(amanda_config: str, answer: Answer) -> None:
    """Raise ConfigurationError with Amanda's reason if a question to a configuration failed.

    Raises LaterError if the question could not be asked.
    """
    if answer.is_passing:
        raise LaterError(
            "amanda-not-asked",
            f"Amanda cannot be asked about {amanda_config} now: {answer.fault}",
            "has the server enough memory, processes and descriptors?",
        )
    if answer.status != 0:
        raise _unusable(amanda_config, first_fault(answer))


def _unusable(amanda_config: str, fault: str) -> ConfigurationError:
    return ConfigurationError(
        "amanda-config",
        f"cannot use the Amanda configuration {amanda_config}: {fault}",
        f"is /etc/amanda/{amanda_config}/amanda.conf in order? "
        + as_own_user(f"amcheck -s {amanda_config}"),
    )


def find_others(amanda_config: str, own_sessions: Iterable[int]) -> list[int]:
    """Return the processes of this configuration's runs that are in none of our sessions."""
    own = set(own_sessions)
    return [
        process.pid
        for process in iterate_processes()
        if process.name in _WORKERS  # of what little is read of each, the cheapest
        and process.session not in own
        and is_worker(read_argv(process.pid), amanda_config)
    ]


def is_worker(argv: Sequence[str], amanda_config: str) -> bool:
    """Return whether `argv` is a program of a run of this configuration."""
    names = {word.rpartition("/")[2] for word in argv[:2]}
    return bool(names & _WORKERS) and amanda_config in argv[1:]


class LiveRuns:
    """Whether a run goes on: by its processes, which are looked at once, when that is first asked.

    Each program of a run is told the log's name (`--log-filename .../log.TIMESTAMP.0`), and the
    log's first line has the number of its first process.
    """

    def __init__(self) -> None:
        self._found: list[tuple[Process, str]] | None = None

    def __call__(self, timestamp: str, pid: int, written_at: datetime) -> bool:
        """Return whether anything of the run is alive whose log was last written `written_at`.

        A process that has begun since then has the number of one that is gone.
        """
        if self._found is None:
            self._found = [
                (process, "\0".join(read_argv(process.pid)))
                for process in iterate_processes()
                if process.name in _WRITERS
            ]
        log = f"/log.{timestamp}."
        return any(
            log in words or self._is_it(process, pid, written_at) for process, words in self._found
        )

    @staticmethod
    def _is_it(process: Process, pid: int, written_at: datetime) -> bool:
        return process.pid == pid and began_at(process) <= written_at.timestamp() + SLACK_SECONDS
