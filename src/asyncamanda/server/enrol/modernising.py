"""Giving DLEs that GNUTAR dumps to amgtar; the next dump of each is a full one."""

from collections.abc import Collection

from asyncamanda.core.amanda.disklist import Dle, render_lone_dle
from asyncamanda.core.amanda.modern_dle import modernise, render_program
from asyncamanda.core.dispatch.records import ProtectionKind
from asyncamanda.core.values.shellwords import as_user, quote_words
from asyncamanda.errors import BadDataError, RefusedError
from asyncamanda.server.amanda.commands import first_fault, plan_force
from asyncamanda.server.enrol.disklist_file import DisklistFile, Names, ask_amanda


def move_to_amgtar(file: DisklistFile, dles: Collection[Dle]) -> list[str]:
    """Change the entries of `dles` in the disklist, all or none; return what went wrong after that.

    Their fulls are forced as soon as it is known that Amanda accepts the new disklist, and only
    then is it changed: whenever this is killed, amgtar's first dump does not build on what GNUTAR
    has noted. At worst a full is made that nobody needs. They are forced once more afterwards, for
    a run that had begun with the old disklist may have made the first ones by then.

    Raises BadDataError if one is not in that file itself, RefusedError if a full cannot be forced,
    and what DisklistFile.change() raises.
    """
    program = render_program()

    def plan(text: str) -> str:
        changed, found = modernise(text, dles)
        lacking = [dle for dle in dles if dle not in found]
        if lacking:
            raise BadDataError(
                "dle-elsewhere",
                f"{lacking[0].host} {lacking[0].disk} is not in {file.path} itself",
                f"change it by hand in the file that is included there; it needs:\n{program}",
            )
        return changed

    def expect(before: Names) -> Names:
        return before

    by_hand = f"change it by hand; each entry needs:\n{program}"
    file.check(plan, expect, by_hand=by_hand)
    for dle in dles:
        if fault := force_full(file.amanda_config, file.user, dle.host, dle.disk):
            raise RefusedError(
                "not-forced",
                f"{file.path} was not changed, for the next dump of {dle.host} {dle.disk} has to "
                f"be a full one, and Amanda cannot be told so: {fault}",
                _say_by_hand(file, dle),
            )
    file.change(plan, expect, by_hand=by_hand)
    return [
        f"the next dump of {dle.host} {dle.disk} may be an incremental one: {fault}; "
        f"{_say_by_hand(file, dle)}"
        for dle in dles
        if (fault := force_full(file.amanda_config, file.user, dle.host, dle.disk))
    ]


def force_full(amanda_config: str, user: str, host: str, disk: str) -> str:
    """Let a DLE's next dump be a full one; return why that cannot be, or ""."""
    argv = plan_force(amanda_config, ProtectionKind.FORCE.value, host)
    answer = ask_amanda(user, *argv, text=render_lone_dle(host, disk))
    return first_fault(answer) if answer.status != 0 else ""


def _say_by_hand(file: DisklistFile, dle: Dle) -> str:
    argv = ["amadmin", file.amanda_config, "force", dle.host, dle.disk]
    return as_user(file.user, quote_words(argv))
