"""What the agent is to do, from either command line: whom to reach, what to run, what to watch."""

import os
import pwd
import stat
from binascii import crc32
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

from asyncamanda import quick
from asyncamanda.client.start.folders import make_for_user, state_for, summary_for
from asyncamanda.client.start.narrator import StartNarrator
from asyncamanda.config.client import (
    SYSTEM_FILE,
    ClientConfig,
    NotifySettings,
    candidate_files,
    default_stale_after,
    is_own,
    load_client_config,
    refuse_others,
)
from asyncamanda.config.moments import NEVER
from asyncamanda.config.notify import name_in_ping
from asyncamanda.core.agent.classic import ClassicArguments
from asyncamanda.core.agent.starting import Patience
from asyncamanda.core.amanda.excludes import CLIENT_LIST
from asyncamanda.core.conditions.judge import Conditions, Pause
from asyncamanda.core.conditions.rate import RateLimit
from asyncamanda.core.exposure.record import Sighting
from asyncamanda.core.model import DiskRule, Policy
from asyncamanda.core.ssh import argv
from asyncamanda.core.ssh.argv import SshOptions, Target
from asyncamanda.core.values import interval
from asyncamanda.errors import ConfigurationError, RefusedError, UsageError
from asyncamanda.system.account import become_user, find_user

RETRY_WITHIN = timedelta(hours=1)  # in the classic form
NOBODY = NotifySettings(desktop=False)  # whom the classic form notifies


@dataclass(frozen=True, slots=True)
class Moments:
    """What moments are good for a backup, and what happens when conditions are no longer met.

    `retry_within` is the longest wait between unsuccessful tries, `spread` the time over which
    clients are spread that could all begin at once. `rate` limits what a run sends.
    """

    conditions: Conditions
    pause: Pause
    inhibit_for: timedelta
    inhibit_lid: bool
    retry_within: timedelta
    spread: timedelta
    rate: tuple[RateLimit, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """What one start of the agent works on; without a `command` the server's gate is asked.

    `state` is the folder of its memory; `depends_on` are the files, amandates and memory aside,
    whose change could change a verdict. `reconnect_for` is how long a broken connection to the gate
    is tried again, and `amandad` the program that serves Amanda's streams, None for the usual one.
    `moments` is None in the classic form, which takes any. `summary` is the file that shows
    everybody on this machine the state of the backup; None for a user's own backups. `exclude` are
    patterns of what is left out, which Amanda reads in `excludes_file`; None where it reads none.
    `prove_every` is how often each disk is proved restorable; None for never. `sighted` is what
    the journal has of the time since the use was counted last; None: not all, or nobody looked.
    """

    target: Target
    command: str | None
    policy: Policy
    options: SshOptions
    amandates: Path
    state: Path
    depends_on: tuple[Path, ...] = ()
    password_file: Path | None = None
    reconnect_for: timedelta = timedelta(minutes=2)
    amandad: Path | None = None
    moments: Moments | None = None
    notify: NotifySettings = NOBODY
    summary: Path | None = None
    exclude: tuple[str, ...] = ()
    excludes_file: Path | None = None
    prove_every: timedelta | None = None
    sighted: tuple[Sighting, ...] | None = None

    @property
    def patience(self) -> Patience:
        """How long a start waits after an unsuccessful one."""
        is_by_command = self.command is not None
        if self.moments is None:
            return Patience(is_by_command, RETRY_WITHIN)
        return Patience(is_by_command, self.moments.retry_within, self.moments.spread)


def plan_classic(arguments: ClassicArguments) -> Plan:
    """Return the plan that the command line of 2014 asks for: any disk's newest dump counts.

    Raises UsageError if a value is invalid.
    """
    try:
        span = interval.parse_interval(arguments.interval)
    except ValueError as error:
        raise UsageError(
            "bad-interval",
            f"--interval: {error}",
            f"allowed: {interval.ALLOWED}",
        ) from error
    try:
        target = argv.parse_target(arguments.host)
    except ValueError as error:
        raise UsageError("bad-host", f"--host: {error}", f"allowed: {argv.ALLOWED}") from error
    identity = repr((str(target), arguments.command, os.path.abspath(arguments.amandates)))  # noqa: PTH100
    return Plan(
        target=target,
        command=arguments.command,
        policy=Policy(
            interval=span,
            watch=DiskRule.NEWEST,
            stale_after=default_stale_after(span),
        ),
        options=SshOptions(key=arguments.key),
        amandates=Path(arguments.amandates).absolute(),
        state=Path(quick.state_folder("classic"), f"{crc32(identity.encode()):08x}"),
    )


def plan_configured(
    named: str | None,
    *,
    to_write: bool = False,
    look_back: Callable[[Path], tuple[Sighting, ...] | None] = lambda _: None,
) -> Plan:
    """Return the plan of the configuration file, and become the Amanda user if root started this.

    `look_back` is asked before that what the journal says, for what is in the memory's folder.
    With `to_write` root makes the folder of the agent's memory for that user; otherwise nothing
    is changed. Raises ConfigurationError for every mistake in the file, and if there is none.
    Raises NotYoursError if this user may not read the file or the agent's memory, or (`to_write`)
    may not write the memory.
    """
    candidates = candidate_files(dict(os.environ), named)
    path, settings = load_client_config(candidates)
    state = state_for(path)
    sighted = look_back(state)
    if os.geteuid() == 0:
        if to_write:
            make_for_user(state, settings.user)
        become_user(settings.user)
    elif not _is_this(settings.user):
        _refuse_closed(state, os.R_OK | os.X_OK | (os.W_OK if to_write else 0))
    return Plan(
        target=settings.server,
        command=settings.command,
        policy=settings.policy,
        options=replace(settings.ssh_options, key=_expand(settings.key)),
        amandates=settings.amandates.expanduser(),
        state=state,
        depends_on=candidates,
        password_file=settings.password_file and settings.password_file.expanduser(),
        reconnect_for=settings.reconnect_for,
        amandad=settings.amandad,
        moments=Moments(
            conditions=settings.conditions,
            pause=settings.pause,
            inhibit_for=settings.inhibit_for,
            inhibit_lid=settings.inhibit_lid,
            retry_within=settings.retry_within,
            spread=settings.spread,
            rate=settings.rate,
        ),
        notify=_notify(settings),
        summary=summary_for(path) if state.is_relative_to(quick.SYSTEM_STATE) else None,
        exclude=settings.exclude,
        excludes_file=_excludes_file(state),
        prove_every=None if settings.prove_every == NEVER else settings.prove_every,
        sighted=sighted,
    )


def _notify(settings: ClientConfig) -> NotifySettings:
    """Return whom to notify, with this client's name in the watchdog's address."""
    notify = settings.notify
    if notify.ping is None:
        return notify
    name = settings.name or os.uname().nodename
    return replace(notify, ping=name_in_ping(notify.ping, name))


def _excludes_file(state: Path) -> Path | None:
    """Return the file of which dumptypes know, if `state` is the folder that it is in."""
    path = Path(CLIENT_LIST)
    return path if path.parent == state else None


def find_handoff(named: str | None) -> tuple[Path, int]:
    """Return the folder in which the configuration's user leaves what root is to show, and its uid.

    This process stays root's. Raises ConfigurationError as plan_configured() does.
    """
    path, settings = load_client_config(candidate_files(dict(os.environ), named))
    return state_for(path), find_user(settings.user).pw_uid


def find_summary(named: str | None) -> Path | None:
    """Return where everybody reads the state of the configuration's backups.

    That is the one which this user may not read: None if it is this user's own.
    """
    for path in candidate_files(dict(os.environ), named):
        if is_own(path):
            return None
        with suppress(OSError):  # in a home that is somebody else's
            if path.exists():
                return summary_for(path)
    return summary_for(SYSTEM_FILE)


def may_remember(named: str | None) -> bool:
    """Return whether this process may write what the configuration's starts remember."""
    for path in candidate_files(dict(os.environ), named):
        with suppress(OSError):  # in a home that is somebody else's
            if path.exists():
                return os.access(state_for(path), os.W_OK)
    return False


def _is_this(user: str) -> bool:
    """Return whether this process is that user's; other errors are then reported as they are."""
    with suppress(KeyError):
        return pwd.getpwnam(user).pw_uid == os.geteuid()
    return False


def _refuse_closed(folder: Path, wanted: int) -> None:
    """Raise NotYoursError if `folder` is there, and this user may not use it as `wanted`."""
    try:
        folder.lstat()
    except FileNotFoundError:
        return
    except OSError:  # what lies above it is closed
        pass
    if not os.access(folder, wanted):
        raise refuse_others(folder)


def _expand(path: Path | None) -> str | None:
    return str(path.expanduser()) if path else None


def find_password(plan: Plan) -> Target:
    """Return the plan's target with its password, if there is one.

    Raises ConfigurationError or RefusedError if the password's file cannot be used.
    """
    if plan.password_file is None:
        return plan.target
    path = plan.password_file
    try:
        with path.open(encoding="utf-8") as file:
            status = os.fstat(file.fileno())
            password = file.readline().rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            "password-file", f"password_file {path} cannot be read: {error}", _mode_hint(path)
        ) from error
    if stat.S_IMODE(status.st_mode) & 0o077 or status.st_uid not in {0, os.geteuid()}:
        raise RefusedError(
            "password-file", f"password_file {path} can be read by others", _mode_hint(path)
        )
    if not password:
        raise ConfigurationError(
            "password-file", f"password_file {path} is empty", "its first line is the password"
        )
    return replace(plan.target, password=password)


def warn_of_password(plan: Plan, narrator: StartNarrator) -> None:
    """Say so, if the command line had a password in it."""
    if plan.target.password:
        narrator.tell(
            "warning: every user of this machine can read the password on the command line. "
            "Better: a key (-k FILE), or a configuration file with password_file"
        )


def _mode_hint(path: Path) -> str:
    user = pwd.getpwuid(os.geteuid()).pw_name
    return f"chown {user} {path}; chmod 600 {path}"
