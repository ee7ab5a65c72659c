"""What `amcheck -s` says of the server: what is to be fixed, what is only a warning, and why.

Most of its lines report no trouble. The lines are Amanda 3.5.1's;
tests/e2e/test_server_itself.py has the real one say some of them.
"""

import re
import shlex
from dataclasses import dataclass, replace

from asyncamanda.core.amanda.amcheck import UNKNOWN, Trouble, explain_lines
from asyncamanda.core.amanda.amcheck_lines import Meaning

THE_SERVER = "the server"  # where a client's doctor would have its name
ADVICE = "amcheck(8) and the newest files in /var/log/amanda/server may explain it"

# the first that matches counts
_MEANINGS = tuple(
    (re.compile(meaning.pattern), meaning)
    for meaning in (
        Meaning(
            r"holding disk '(?P<place>.+)': (?:only .+|no space) available \(.+ requested\)",
            "less is free there than `use` in amanda.conf allows: a dump that does not fit is not "
            "held, and may fail",
            "asyncamanda server flush, if dumps are held there; or free space, or lower `use`",
        ),
        Meaning(
            r"holding disk '(?P<place>.+)': only .+ free, using nothing",
            "no dump can be held there",
            "asyncamanda server flush, if dumps are held there; or free space, or correct `use` in "
            "amanda.conf",
        ),
        Meaning(
            r"holding dir '(?P<place>.+)' \(No such file or directory\)",
            "no dump can be held: that folder is missing",
            "mount what it is on; or make it, as root: install -d -m 700 -o {user} -g {user} "
            "{place}",
        ),
        Meaning(
            r"(?:holding disk|tapelist|tapelist dir|log dir|oldlog dir) '(?P<place>.+?)'"
            r"(?: \(.+\))?: not (?:writable|searcheable).*",
            "the Amanda user may not write there",
            "as root: chown -R {user}:{user} {place}",
        ),
        Meaning(
            r"logdir '(?P<place>.+)' \(No such file or directory\)",
            "without its folder for logs Amanda does not start a run",
            "as root: install -d -m 770 -o {user} -g {user} {place}",
        ),
        Meaning(
            r"directory '(?P<place>.+)' does not exist",
            "the volumes are expected there",
            "mount what it is on, or correct the changer in amanda.conf",
        ),
        Meaning(
            r"No acceptable volumes found",
            "no volume is new, and each that was written is still needed",
            "add volumes (num-slot in amanda.conf), or keep fewer (tapecycle)",
        ),
    )
)

# server doctor's capacity check explains that file
_TOLD_ELSEWHERE = re.compile(r"hold file '.+' exists\..*")
_REPORT = re.compile(
    r"Amanda Tape Server Host Check|-+|\(brought to you by Amanda .*\)|Server check took .*|"
    r"NOTE: .*|slot [^:]*:.*|found in slot .*|Searching for label .*|Will .* in slot .*|"
    r"Writing label .*|Volume '.*' is writeable\.|all slots have been loaded|"
    r"Taper scan algorithm did not find an acceptable volume\."
)
_MUST = re.compile(r"\s+you must .*")  # below a line, even a NOTE, for which amcheck ends with 1
_GRADE = re.compile(r"(ERROR|CRITICAL|BAD|WARNING|NOTE): (?:WARNING: )?")


@dataclass(frozen=True, slots=True)
class ServerCheck:
    """What is to be fixed, and what Amanda only warns of."""

    bad: tuple[Trouble, ...] = ()
    warnings: tuple[Trouble, ...] = ()


def interpret_server_check(
    status: int | None, stdout: str, stderr: str, user: str = "backup"
) -> ServerCheck:
    """Return what `amcheck -s` found; `status` is its exit status, None if it was ended.

    `user` is whom Amanda runs as. Accepts any text: a line that is not known counts where nothing
    that is known says why amcheck is not content.
    """
    bad, warnings, unknown = [], [], []
    lines = stdout.splitlines()
    for line, below in zip(lines, [*lines, ""][1:], strict=True):
        if not line.strip() or line.startswith("  "):
            continue
        grade = match[1] if (match := _GRADE.match(line)) else ""
        said = line[match.end() :] if match else line
        if grade == "WARNING":
            warnings += [] if _TOLD_ELSEWHERE.fullmatch(said) else [_explain(said, user)]
        elif grade not in {"", "NOTE"} or (status != 0 and _MUST.fullmatch(below)):
            bad.append(_explain(said, user))
        elif not _REPORT.fullmatch(line):
            unknown.append(line)
    if status == 0:
        return ServerCheck(_once(bad), _once(warnings))
    if not bad and (status != 1 or not warnings):
        end = "was ended" if status is None else f"ended with status {status}"
        silence = Trouble(f"amcheck {end} without giving a reason", UNKNOWN, "")
        others = explain_lines(THE_SERVER, "\n".join([*unknown, stderr]), user) or (silence,)
        bad += map(_advise, others)
    return ServerCheck(_once(bad), _once(warnings))


def _explain(said: str, user: str) -> Trouble:
    for pattern, meaning in _MEANINGS:
        if match := pattern.fullmatch(said):
            quoted = {name: shlex.quote(value) for name, value in match.groupdict().items()}
            return Trouble(said, meaning.why, meaning.fix.format_map(quoted | {"user": user}))
    (trouble,) = explain_lines(THE_SERVER, said, user) or (Trouble(said, UNKNOWN, ""),)
    return _advise(trouble)


def _advise(trouble: Trouble) -> Trouble:
    """Return a trouble that, where nobody knows it, tells where the server may explain it."""
    return replace(trouble, fix=ADVICE) if trouble.why == UNKNOWN else trouble


def _once(troubles: list[Trouble]) -> tuple[Trouble, ...]:
    return tuple(dict.fromkeys(troubles))
