"""asyncamanda schedule: install, remove or show the timer."""

import argparse
import difflib
import os
from collections.abc import Iterable
from pathlib import Path

from asyncamanda.client.schedule import install
from asyncamanda.client.schedule.install import Change, Installation, Removal, ScheduleStatus
from asyncamanda.commands.asking import is_agreed
from asyncamanda.commands.options import add_common
from asyncamanda.commands.printing import tell
from asyncamanda.config.client import candidate_files, load_client_config
from asyncamanda.core.schedule.schedule import ScheduleKind
from asyncamanda.core.values.printable import printable
from asyncamanda.errors import Exit, RefusedError, UsageError
from asyncamanda.report.json import render_json, time_value
from asyncamanda.report.text import format_time

_UNASKED = "--yes makes these changes without asking, --dry-run only shows them"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("what", choices=("install", "remove", "show"), help="what to do")
    parser.add_argument(
        "--kind",
        choices=[*ScheduleKind],
        help="what starts the agent (default: systemd if it runs, else anacron, else cron)",
    )
    parser.add_argument("--dry-run", action="store_true", help="only show what would be done")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.add_argument(
        "--force", action="store_true", help="remove: also remove files that were changed by hand"
    )
    add_common(parser)


def run(arguments: argparse.Namespace) -> Exit:
    """Show the schedule, or what is to be changed, and change it when that is wanted.

    Raises UsageError, RefusedError to everybody but root who wants to change something, and what
    planning and doing raise.
    """
    _check(arguments)
    if arguments.what == "show":
        _show(install.look_at_schedule(), as_json=arguments.json)
        return Exit.OK
    if os.geteuid() != 0:
        raise RefusedError(
            "not-root",
            f"schedule {arguments.what} changes files of root",
            "run it as root; `schedule show` does not need it",
        )
    if arguments.what == "install":
        _install(arguments)
    else:
        _remove(arguments)
    return Exit.OK


def _check(arguments: argparse.Namespace) -> None:
    if arguments.force and arguments.what != "remove":
        raise UsageError("usage", "--force is for schedule remove", "leave it out")
    if arguments.kind and arguments.what != "install":
        raise UsageError("usage", "--kind is for schedule install", "leave it out")
    is_silent = arguments.yes or arguments.dry_run or arguments.what == "show"
    if arguments.json and not is_silent:
        raise UsageError("nobody-to-ask", "--json cannot ask questions", _UNASKED)


def _install(arguments: argparse.Namespace) -> None:
    candidates = candidate_files(dict(os.environ), arguments.config)
    path, settings = load_client_config(candidates)
    kind = ScheduleKind(arguments.kind) if arguments.kind else None
    plan = install.plan_install(kind, install.find_own_program(), settings, path)
    is_wanted = False
    if plan.is_needed:
        is_wanted = _show_plan(plan, arguments)
    elif not arguments.json:
        tell(f"nothing to change: {plan.kind} starts the agent")
    if is_wanted:
        install.install(plan)
    if arguments.json:
        print(render_json({"kind": plan.kind, **_plan_value(plan, is_done=is_wanted)}))
    elif is_wanted:
        tell(f"done: {plan.kind} starts the agent; `asyncamanda schedule show` shows its state")


def _remove(arguments: argparse.Namespace) -> None:
    plan = install.plan_removal(force=arguments.force)
    is_wanted = False
    if plan:
        is_wanted = _show_plan(plan, arguments)
    elif not arguments.json:
        print("nothing to remove")
    if plan and is_wanted:
        install.remove(plan)
    if arguments.json:
        print(render_json(_plan_value(plan, is_done=is_wanted)))
    elif plan and is_wanted:
        rest = ", except for what was kept" if plan.kept else ": nothing starts the agent any more"
        print(f"done{rest}")


# -- a plan


def _show_plan(plan: Installation | Removal, arguments: argparse.Namespace) -> bool:
    """Show the plan, if that is not for a program, and return whether it is wanted."""
    if not arguments.json:
        for change in plan.changes:
            _show_change(change)
        for path in plan.kept:
            tell(f"kept: {path}, which was changed by hand; `schedule remove --force` removes it")
        commands = [" ".join(command) for command in (*plan.before, *plan.commands)]
        if commands:
            print("run:", *commands, sep="\n  ")
    if arguments.dry_run or arguments.yes or is_agreed("make these changes?", _UNASKED):
        return not arguments.dry_run
    print("nothing was changed")
    return False


def _show_change(change: Change) -> None:
    if change.after is None:
        print(f"remove: {change.path}")
        return
    if change.before is None:
        print(f"write: {change.path}, mode {change.mode:04o}")
        _print_lines(change.after.splitlines())
    else:
        print(f"change: {change.path}, mode {change.mode:04o}")
        before, after = change.before.splitlines(), change.after.splitlines()
        _print_lines(list(difflib.unified_diff(before, after, lineterm="", n=1))[2:])
    print()


def _print_lines(lines: Iterable[str]) -> None:
    for line in lines:
        print(f"  {printable(line.expandtabs())}".rstrip())


def _plan_value(plan: Installation | Removal | None, *, is_done: bool) -> dict[str, object]:
    changes = plan.changes if plan else ()
    return {
        "changed": is_done,
        "changes": [
            {
                "path": str(change.path),
                "text": change.after,
                "mode": None if change.after is None else f"{change.mode:04o}",
            }
            for change in changes
        ],
        "commands": [list(command) for command in (*plan.before, *plan.commands)] if plan else [],
        "kept": [str(path) for path in plan.kept] if plan else [],
    }


# -- its state


def _show(status: ScheduleStatus, *, as_json: bool) -> None:
    if as_json:
        print(render_json(_status_value(status)))
        return
    if status.kind is None:
        print("nothing starts the agent: `asyncamanda schedule install` installs a timer")
        return
    state = {True: "active", False: "not active", None: "whether it is active is not known"}
    half = "" if status.is_installed else "; incomplete: run schedule install or remove again"
    tell(f"{status.kind}: {state[status.is_active]}{half}")
    if status.next_at:
        print(f"next start: {format_time(status.next_at)}")
    for path in status.files:
        print(f"  {path}{_remark(path, status)}")


def _remark(path: Path, status: ScheduleStatus) -> str:
    if path in status.unknown:
        return ": not known, as this user may not look at it"
    if path not in status.differs:
        return ""
    return ": missing" if path in status.missing else ": changed by hand"


def _status_value(status: ScheduleStatus) -> dict[str, object]:
    return {
        "kind": status.kind,
        "installed": status.is_installed,
        "active": status.is_active,
        "files": [str(path) for path in status.files],
        "differs": [str(path) for path in status.differs],
        "unknown": [str(path) for path in status.unknown],
        "next_at": time_value(status.next_at),
    }
