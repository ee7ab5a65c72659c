"""A run's program: started only when the run and its process are written down."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

from asyncamanda.core.dispatch.records import WITH_TAPER, RunKind, RunRow
from asyncamanda.errors import LaterError
from asyncamanda.server.amanda import commands
from asyncamanda.server.amanda.run import Run
from asyncamanda.server.background.threads import apart_at_last
from asyncamanda.server.dispatch.amanda_config import Site
from asyncamanda.system.clock import now as read_clock
from asyncamanda.system.processes import read_boot_id, read_process

START_AGAIN_SECONDS = 5.0

Plan = Callable[[RunRow], Awaitable[list[str]]]  # returns the argv of a run


async def launch_run(site: Site, run: Run, plan: Plan) -> None:
    """Start the program of a run that is in the ledger. Raises LaterError if it cannot start."""
    row = run.row
    argv = await plan(row)
    try:
        process = run.process = commands.launch_paused(argv, run.output)
    except OSError as error:
        site.list_path(row.id).unlink(missing_ok=True)
        await site.access.write(
            lambda ledger: ledger.runs.abandon(run.row.id, read_clock(), "it could not be started")
        )
        await asyncio.sleep(START_AGAIN_SECONDS)
        raise LaterError(
            "not-started",
            f"{argv[0]} cannot be started: {error}",
            f"is there room in {run.output.parent}? it is tried again",
        ) from error
    boot_id, leader = read_boot_id(), read_process(process.pid)
    started = leader.started if leader else None
    is_to_volumes = row.kind is RunKind.BATCH and commands.NO_TAPER not in argv
    remark = WITH_TAPER if is_to_volumes else ""  # kept, for another dispatcher to know
    begun = run.row = replace(
        run.row, pid=process.pid, pid_started=started, boot_id=boot_id, remark=remark
    )
    await site.access.write(
        lambda ledger: ledger.runs.note(
            run.row.id, pid=begun.pid, pid_started=started, boot_id=boot_id, remark=remark
        )
    )
    if row.kind is RunKind.BATCH:
        await apart_at_last(f"{site.name}: its holding disk's files", run.hide_held)
    commands.release(process)
    site.log(f"{row.kind.value} {row.id} starts: {' '.join(argv)}")
