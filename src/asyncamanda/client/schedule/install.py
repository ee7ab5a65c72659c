"""Let a machine start the agent: look, plan, show, and only then change."""

from collections.abc import Iterable

from asyncamanda.client.schedule.machine import find_own_program, find_program
from asyncamanda.client.schedule.plan import (
    Change,
    Installation,
    Removal,
    plan_install,
    plan_removal,
)
from asyncamanda.client.schedule.record import forget_record, read_place, write_record
from asyncamanda.client.schedule.state import ScheduleStatus, look_at_schedule
from asyncamanda.errors import RefusedError
from asyncamanda.system.files import sync_folder, write_whole
from asyncamanda.system.programs import run_or_refuse

__all__ = [
    "Change",
    "Installation",
    "Removal",
    "ScheduleStatus",
    "find_own_program",
    "install",
    "look_at_schedule",
    "plan_install",
    "plan_removal",
    "remove",
]

COMMAND_WITHIN = 120.0  # seconds: systemd waits for what it starts and stops
CONTINUES = "fix that and run the same command again: it continues where this one stopped"


def install(installation: Installation) -> None:
    """Change what was planned. After a crash the same again completes it.

    Raises RefusedError with what prevented it.
    """
    try:
        write_record(installation.during)
        _change(installation.before, installation.changes, installation.commands)
        write_record(installation.afterwards)
    except OSError as error:
        raise _cannot(error) from error


def remove(removal: Removal) -> None:
    """Take away what was planned. After a crash the same again completes it.

    Raises RefusedError with what prevented it.
    """
    try:
        _change(removal.before, removal.changes, removal.commands)
        if removal.afterwards:
            write_record(removal.afterwards)
        else:
            forget_record()
    except OSError as error:
        raise _cannot(error) from error


def _change(
    before: Iterable[tuple[str, ...]],
    changes: Iterable[Change],
    commands: Iterable[tuple[str, ...]],
) -> None:
    _run_all(before)
    for change in changes:
        _apply(change)
    _run_all(commands)


def _apply(change: Change) -> None:
    if read_place(change.path) != change.before:  # while somebody thought about the question
        raise RefusedError(
            "changed-meanwhile",
            f"{change.path} was changed since it was shown",
            "run the same command again",
        )
    if change.after is None:
        change.path.unlink()
        sync_folder(change.path.parent)
        return
    change.path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    write_whole(change.path, change.after, change.mode)


def _run_all(commands: Iterable[tuple[str, ...]]) -> None:
    for command in commands:
        argv = (find_program(command[0]) or command[0], *command[1:])
        run_or_refuse(argv, COMMAND_WITHIN, CONTINUES, " ".join(command))


def _cannot(error: OSError) -> RefusedError:
    return RefusedError(
        "not-written",
        f"{error.filename or 'a file'} cannot be changed: {error.strerror}",
        CONTINUES,
    )
