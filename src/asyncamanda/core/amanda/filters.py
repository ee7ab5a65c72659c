"""The filters of a dump: what its bytes went through, and which programs may undo that.

A dump's header holds text of the client's, and names programs (amanda-facts). So the administrator
decides which programs may run, in one of three places; a header only chooses among these.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

NONE = "none"
GZIP = "gzip"  # Amanda's own compression, fast or best: no path, so that nobody can name another
UNDO = "-d"  # what Amanda tells any compression program that is to undo its work
MOST_STEPS = 2  # decrypt, then decompress


@dataclass(frozen=True, slots=True)
class Filters:
    """What the dumps of a DLE go through, by its dumptype.

    `compress` and `encrypt` are Amanda's words for the kind: "none", "client fast", "server
    custom"; "client", "server". The programs are those of the kind that is in force, "" where there
    is none or it is Amanda's own; `decrypt_option` makes the encryption program decrypt.
    """

    compress: str = NONE
    compress_program: str = ""
    encrypt: str = NONE
    encrypt_program: str = ""
    decrypt_option: str = ""


@dataclass(frozen=True, slots=True)
class FilterStep:
    """A program that undoes a filter, and the option that tells it to."""

    program: str
    option: str = UNDO


@dataclass(frozen=True, slots=True)
class FiltersRefused:
    """The header asks for what may not run: which step that is, and why not."""

    step: FilterStep
    reason: str


def list_steps(filters: Filters) -> Iterator[FilterStep]:
    """Yield what undoes `filters`, in that order.

    A program without its whole path is left out: which one it is would depend on the PATH.
    """
    if filters.encrypt != NONE and filters.encrypt_program.startswith("/"):
        yield FilterStep(filters.encrypt_program, filters.decrypt_option)
    if filters.compress.endswith(" custom"):
        if filters.compress_program.startswith("/"):
            yield FilterStep(filters.compress_program)
    elif filters.compress != NONE:
        yield FilterStep(GZIP)


def allowed_filters(
    today: Filters | None,
    recorded: Filters | None,
    allow_list: Collection[str],
    wanted: Sequence[FilterStep],
) -> tuple[FilterStep, ...] | FiltersRefused:
    """Return the steps that a header `wanted`, if all of them may run.

    A step may run if undoing the DLE's filters of `today` takes it, or those `recorded` when the
    dump was confirmed (None: not known), with that very option; or if its program is in
    `allow_list`, and the option is the usual one; or if it is Amanda's own gzip.
    """
    known = {FilterStep(GZIP), *map(FilterStep, allow_list)}
    for filters in (today, recorded):
        if filters is not None:
            known |= {*list_steps(filters)}
    for step in wanted:
        if step not in known:
            return FiltersRefused(step, _explain(step, {each.program for each in known}))
    if len(wanted) > MOST_STEPS:
        return FiltersRefused(
            wanted[MOST_STEPS], "a dump is compressed once and encrypted once, and no more"
        )
    return tuple(wanted)


def _explain(step: FilterStep, programs: Collection[str]) -> str:
    if step.program in programs:
        return "the program is known, but it is not allowed with this option"
    return (
        "neither the DLE's current dumptype names this program, nor the one that the dump was "
        "made with, nor `filters` in server.toml"
    )
