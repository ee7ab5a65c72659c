"""The disklist of an Amanda configuration: what is in it, and adding to it.

As root this writes in a folder of root's below /etc/amanda and nowhere else, for amanda.conf, which
is the Amanda user's, says where the disklist is. No link is followed.
"""

import asyncio
import json
import os
import stat
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from asyncamanda.core.amanda.disklist import parse_dles, render_name
from asyncamanda.core.values.foreign import parse_json
from asyncamanda.errors import BadDataError, RefusedError
from asyncamanda.server.background.programs import run_apart
from asyncamanda.server.enrol.newconfig import AMANDA_FOLDER
from asyncamanda.system.account import ask_as, do_as
from asyncamanda.system.files import open_folder, replace_in

DUMPTYPE = "roaming"  # as `server setup --new-config` defines it


@dataclass(frozen=True, slots=True)
class Configured:
    """What an Amanda configuration says of disks: its disklist's file, its DLEs, its dumptypes.

    `by_ssh` are the dumptypes whose auth is ssh.
    """

    disklist: Path
    dles: tuple[tuple[str, str], ...]
    dumptypes: tuple[str, ...]
    by_ssh: tuple[str, ...]


def read_configured(amanda_config: str, user: str) -> Configured:
    """Return what Amanda's programs, as `user`, say of the configuration.

    Raises BadDataError if they fail.
    """
    answer = parse_json(ask_as(user, lambda: json.dumps(asyncio.run(_ask(amanda_config)))))
    if "fault" in answer:
        raise BadDataError(
            "amanda-config",
            f"cannot use the Amanda configuration {amanda_config}: {answer['fault']}",
            f"as the Amanda user: amcheck -s {amanda_config}",
        )
    return Configured(
        disklist=AMANDA_FOLDER / amanda_config / answer["diskfile"],
        dles=tuple((host, disk) for host, disk in answer["dles"]),
        dumptypes=tuple(answer["dumptypes"]),
        by_ssh=tuple(answer["by_ssh"]),
    )


async def _ask(amanda_config: str) -> dict[str, object]:
    async def get(*argv: str) -> str:
        answer = await run_apart(argv)
        if answer.status != 0:
            raise ValueError(f"{' '.join(argv)}: {answer.complaints[-1]}")
        return answer.stdout

    config = ("amgetconf", amanda_config)
    try:
        diskfile, listed, dles = await asyncio.gather(
            get(*config, "diskfile"),
            get(*config, "--list", "dumptype"),
            get("amadmin", amanda_config, "dles"),
        )
        names = listed.split()
        auths = await asyncio.gather(*(get(*config, f"dumptype:{name}:auth") for name in names))
    except ValueError as error:
        return {"fault": str(error)}
    pairs = zip(names, auths, strict=True)
    return {
        "diskfile": diskfile.strip(),
        "dles": parse_dles(dles),
        "dumptypes": names,
        "by_ssh": [name for name, auth in pairs if auth.strip().lower() == "ssh"],
    }


def check_dumptype(configured: Configured, amanda_config: str, dumptype: str) -> None:
    """Raise BadDataError, with what fits, if there is no such dumptype."""
    if dumptype in configured.dumptypes:
        return
    known = ", ".join(configured.by_ssh)
    raise BadDataError(
        "no-dumptype",
        f"the Amanda configuration {amanda_config} has no dumptype {dumptype}",
        f'--dumptype takes one with auth "ssh": {known}' if known else 'none has auth "ssh"',
    )


def find_missing(configured: Configured, client: str, disks: Iterable[str]) -> tuple[str, ...]:
    """Return those of a client's `disks` that the disklist does not have, each once."""
    wanted = dict.fromkeys(disks)
    return tuple(disk for disk in wanted if (client, disk) not in configured.dles)


def render_dles(text: str, client: str, disks: Sequence[str], dumptype: str) -> str:
    """Return the disklist `text` with a line for each of the client's `disks` at its end."""
    lines = "".join(f"{client} {render_name(disk)} {dumptype}\n" for disk in disks)
    between = "\n" if text and not text.endswith("\n") else ""
    return f"{text}{between}{lines}"


def add_dles(path: Path, client: str, disks: Sequence[str], dumptype: str, user: str) -> None:
    """Add the lines to the disklist at `path`, which keeps its owner and mode.

    Raises RefusedError if it cannot be written.
    """

    def add() -> None:
        _add(path, client, disks, dumptype)

    try:
        is_roots = path.parent.parent == AMANDA_FOLDER and path.parent.lstat().st_uid == 0
        if os.geteuid() == 0 and not is_roots:
            do_as(user, add)
        else:
            add()
    except OSError as error:
        lines = render_dles("", client, disks, dumptype)
        raise RefusedError(
            "disklist-unwritable",
            f"{path} cannot be changed: {error.strerror}",
            f"add this by hand, and enroll again:\n{lines}",
        ) from error


def _add(path: Path, client: str, disks: Sequence[str], dumptype: str) -> None:
    folder = open_folder(path.parent)
    try:
        before, like = _read(path.name, folder)
        text = render_dles(before, client, disks, dumptype)
        owner = like.st_uid, like.st_gid
        replace_in(folder, path.name, text, stat.S_IMODE(like.st_mode), owner)
    finally:
        os.close(folder)


def _read(name: str, folder: int) -> tuple[str, os.stat_result]:
    """Return the file's text and status."""
    descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    with os.fdopen(descriptor, encoding="utf-8", errors="surrogateescape", newline="") as file:
        return file.read(), os.fstat(descriptor)
