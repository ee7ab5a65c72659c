"""What an Amanda configuration has room for, looked at as the Amanda user."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from asyncamanda.core.amanda.config import parse_config
from asyncamanda.core.amanda.disklist import Dle, parse_disklist
from asyncamanda.core.amanda.volumes import refuse_large
from asyncamanda.core.doctor.capacity import CAPACITY, Server, judge_capacity
from asyncamanda.core.doctor.findings import Check, Health
from asyncamanda.errors import AsyncamandaError, RefusedError
from asyncamanda.server.amanda.commands import Settings, parse_settings, plan_config
from asyncamanda.server.amanda.hiding import is_there
from asyncamanda.server.amanda.holding import look_at_holding
from asyncamanda.server.background.programs import PATIENCE
from asyncamanda.server.enrol.disklist_file import ask_amanda
from asyncamanda.server.enrol.enrolled import Enrolled
from asyncamanda.system.account import ask_as
from asyncamanda.system.programs import Answer, run_program


def check_capacity(entry: Enrolled) -> Check:
    """Return what may be backed up of a client, and what in the configuration is in its way."""
    name, client = entry.amanda_config, entry.client
    dles = run_program(["amadmin", name, "disklist", f"={client}"], PATIENCE)
    own = [dle for dle in parse_disklist(dles.stdout) if dle.host == client]
    answer = run_program(plan_config(name), PATIENCE)
    return _judge(name, own, answer, lambda settings: look_at_holding(settings).capacity)


def check_capacity_for_all(amanda_config: str, dles: Sequence[Dle], user: str) -> Check:
    """Return the same for all clients, whose DLEs are `dles`; root asks as `user`."""
    named = [replace(dle, disk=f"{dle.host} {dle.disk}") for dle in dles]

    def look(settings: Settings) -> int:
        return int(ask_as(user, lambda: str(look_at_holding(settings).capacity)))

    check = _judge(amanda_config, named, ask_amanda(user, *plan_config(amanda_config)), look)
    return replace(check, found=f"{amanda_config}: {check.found}")


def _judge(
    name: str, dles: Sequence[Dle], answer: Answer, look: Callable[[Settings], int]
) -> Check:
    try:
        settings = parse_settings(name, answer)
    except AsyncamandaError as error:
        return Check(CAPACITY, Health.BAD, error.message, fix=error.hint, is_partial=True)
    hold = str(settings.hold_file) if is_there(settings.hold_file) else ""
    return judge_capacity(Server(parse_config(answer.stdout), look(settings), hold), dles)


def check_largest(disk: str, size: int, amanda_config: str, user: str) -> None:
    """Raise RefusedError, with the sum, if the configuration has no room for `size` bytes."""
    argv = plan_config(amanda_config)
    volumes = parse_config(ask_as(user, lambda: run_program(argv, PATIENCE).stdout)).find_volumes()
    if refused := refuse_large(disk, size, volumes):
        raise RefusedError(
            "disk-too-large",
            refused,
            f"in /etc/amanda/{amanda_config}/amanda.conf: longer volumes (`length`), or more "
            "(`num-slot` and `tapecycle`); without --largest it is enrolled anyway",
        )
