"""Giving DLEs that GNUTAR dumps to amgtar; the next dump of each is a full one."""

from collections.abc import Collection

from asyncamanda.core.amanda.disklist import Dle, render_lone_dle
from asyncamanda.core.amanda.modern_dle import modernise, render_program
from asyncamanda.core.dispatch.records import ProtectionKind
from asyncamanda.core.values.shellwords import as_user, quote_words
from asyncamanda.errors import BadDataError
from asyncamanda.server.amanda.commands import first_fault, plan_force
from asyncamanda.server.enrol.disklist_file import DisklistFile, Names, ask_amanda


def move_to_amgtar(file: DisklistFile, dles: Collection[Dle]) -> None:
    """Change the entries of `dles` in the disklist, all or none.

    Raises BadDataError if one is not in that file itself, and what DisklistFile.change() raises.
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

    file.change(plan, expect, by_hand=f"change it by hand; each entry needs:\n{program}")


def force_full(file: DisklistFile, dle: Dle) -> str:
    """Let the DLE's next dump be a full one; return why that cannot be, or ""."""
    argv = plan_force(file.amanda_config, ProtectionKind.FORCE.value, dle.host)
    answer = ask_amanda(file.user, *argv, text=render_lone_dle(dle.host, dle.disk))
    if answer.status == 0:
        return ""
    argv = ["amadmin", file.amanda_config, "force", dle.host, dle.disk]
    return (
        f"the next dump of {dle.host} {dle.disk} may be an incremental one: {first_fault(answer)}; "
        + as_user(file.user, quote_words(argv))
    )
