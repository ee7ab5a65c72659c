"""What an Amanda configuration says of disks, and adding to its disklist."""

import shlex
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from asyncamanda.core.amanda.config import AmandaConfig, parse_config
from asyncamanda.core.amanda.disklist import (
    Dle,
    join_disklist,
    parse_disklist,
    parse_dles,
    render_name,
)
from asyncamanda.core.amanda.sealing import PROGRAM, SEALED_DUMPTYPE, render_definitions
from asyncamanda.core.values.shellwords import as_user
from asyncamanda.errors import AsyncamandaError, BadDataError, UsageError
from asyncamanda.report.text import name_disks
from asyncamanda.server.amanda.commands import first_fault
from asyncamanda.server.enrol.disklist_file import DisklistFile, Names, ask_amanda
from asyncamanda.server.enrol.newconfig import AMANDA_FOLDER

AUTH = "ssh"  # the one that calls a client where the relay listens
BASES = ("roaming-base",)  # of the next, and no dumptype by itself
DUMPTYPE = "roaming"  # as `server setup --new-config` defines it


@dataclass(frozen=True, slots=True)
class Configured:
    """What an Amanda configuration says of disks: its disklist's file, its DLEs, its dumptypes.

    `dumptypes` has the auth of each by its name. `warnings` are Amanda's own, of its configuration.
    `bases` are the dumptypes that only others are made of.
    """

    disklist: DisklistFile
    dles: tuple[Dle, ...]
    dumptypes: Mapping[str, str]
    warnings: tuple[str, ...] = ()
    bases: frozenset[str] = frozenset()

    def of_host(self, client: str) -> list[Dle]:
        """Return a client's DLEs."""
        return [dle for dle in self.dles if dle.host == client]


def read_configured(amanda_config: str, user: str) -> Configured:
    """Return what Amanda's programs, as `user`, say of the configuration.

    Raises BadDataError if they fail.
    """

    def ask(word: str) -> str:
        answer = ask_amanda(user, "amadmin", amanda_config, word)
        if answer.status != 0:
            raise BadDataError(
                "amanda-config",
                f"cannot use the Amanda configuration {amanda_config}: {first_fault(answer)}",
                as_user(user, f"amcheck -s {amanda_config}"),
            )
        warnings.update(dict.fromkeys(line for line in answer.stderr.splitlines() if line))
        return answer.stdout

    warnings: dict[str, None] = {}
    # the dumptypes that Amanda brings along are printed as comments
    config = parse_config(ask("config").replace("\n#", "\n"))
    found = join_disklist(parse_dles(ask("dles")), parse_disklist(ask("disklist")))
    path = AMANDA_FOLDER / amanda_config / config.value("DISKFILE")
    return Configured(
        disklist=DisklistFile(amanda_config, path, user),
        dles=tuple(found.values()),
        dumptypes={
            name: config.block_value(kind, name, "AUTH").lower()
            for kind, name in config.blocks
            if kind == "DUMPTYPE"
        },
        warnings=tuple(warnings),
        bases=find_bases(config),
    )


def find_bases(config: AmandaConfig) -> frozenset[str]:
    """Return the dumptypes that `server setup --new-config` wrote for others to be made of.

    One that was given a program since is one like any other.
    """
    programs = {name: config.block_value("DUMPTYPE", name, "PROGRAM") for name in BASES}
    return frozenset(name for name, program in programs.items() if program == "DUMP")


def describe_dles(configured: Configured, client: str, *, is_direct: bool) -> list[str]:
    """Return a warning for each reason for which a client's DLEs may not be backed up."""
    dles, found = configured.of_host(client), list(configured.warnings)
    strays = [f"{dle.disk} (auth {dle.auth})" for dle in dles if dle.auth.lower() != AUTH]
    if strays and not is_direct:
        found.append(
            f"Amanda contacts {client} directly for {name_disks(strays)}, not through the client's "
            f'own connection: that needs auth "{AUTH}" in the dumptype'
        )
    if dles:
        return found
    alike = {dle.host for dle in configured.dles if dle.host.lower() == client.lower()}
    if alike:
        own = " and ".join(sorted(alike))
        found.append(f"the disklist has {own}, not {client}: revoke that, and enroll it as {own}")
    else:
        found.append(
            f"{configured.disklist.path} has no disk of {client}; nothing is backed up until it "
            f"has a line such as\n  {client} /home roaming"
        )
    return found


def check_dumptype(configured: Configured, dumptype: str) -> None:
    """Raise BadDataError, with what fits, if there is no such dumptype, or it is only a base."""
    usable = {
        name: auth for name, auth in configured.dumptypes.items() if name not in configured.bases
    }
    if dumptype.lower() in {name.lower() for name in usable}:
        return
    known = ", ".join(name for name, auth in usable.items() if auth == AUTH)
    found = (
        f"the Amanda configuration {configured.disklist.amanda_config} has no dumptype {dumptype}"
    )
    if dumptype.lower() in configured.bases:
        found = (
            f"{dumptype} is no dumptype by itself: it names no program, and Amanda would use dump"
        )
    raise BadDataError(
        "no-dumptype",
        found,
        f'--dumptype takes one with auth "ssh": {known}' if known else 'none has auth "ssh"',
    )


def check_encryption(configured: Configured, dles: Sequence[Dle], *, is_wanted: bool) -> list[str]:
    """Return a warning for each of a client's DLEs whose dumps it would not encrypt, as it wants.

    Raises BadDataError, with the lines that are missing, where nothing defines the encryption.
    """
    if not is_wanted:
        return []
    name = configured.disklist.amanda_config
    if SEALED_DUMPTYPE not in configured.dumptypes:
        base = "" if BASES[0] in configured.dumptypes else f"; {BASES[0]} is your own base there"
        raise BadDataError(
            "no-encryption",
            f"the client encrypts its dumps, and the Amanda configuration {name} has no dumptype "
            f"{SEALED_DUMPTYPE}",
            f"add this to {configured.disklist.path.with_name('amanda.conf')}, and enroll again"
            f"{base}:\n{render_definitions()}",
        )
    return [
        f"{dle.disk} is dumped in plain, which the client will refuse: give it the dumptype "
        f"{SEALED_DUMPTYPE} in {configured.disklist.path}; its next dump should be a full one"
        for dle in dles
        if dle.filters is None or dle.filters.encrypt_program != PROGRAM
    ]


def choose_dumptype(dles: Iterable[Dle]) -> str:
    """Return the dumptype for a new disk of a client with these: one that encrypts, or not."""
    is_sealed = any(dle.filters and dle.filters.encrypt_program == PROGRAM for dle in dles)
    return SEALED_DUMPTYPE if is_sealed else DUMPTYPE


def does_encrypt(amanda_config: str, client: str, user: str) -> bool:
    """Return whether a client encrypts its dumps; not where that cannot be told."""
    with suppress(AsyncamandaError):
        dles = read_configured(amanda_config, user).of_host(client)
        return choose_dumptype(dles) == SEALED_DUMPTYPE
    return False


def find_missing(
    dles: Sequence[Dle], disks: Iterable[str]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return those of `disks` that are not among a client's `dles`, each once, and what to tell.

    A slash at the end makes a path another DLE for Amanda, and a name for it does: all in it would
    be dumped twice.
    """
    named = {dle.disk for dle in dles}
    devices = {
        name.rstrip("/"): dle.disk for dle in dles for name in (dle.disk, dle.device) if name
    }
    missing: dict[str, None] = {}
    told = []
    for disk in disks:
        plain = disk.rstrip("/") or disk
        if disk in named:
            continue
        if (own := devices.get(plain)) is None:
            missing[plain] = None
            told += [f"{disk} is added as {plain}"] if disk != plain else []
        elif own == plain:
            told.append(f"{disk} is {own}, which the disklist has")
        else:
            told.append(f"{disk} is in the disklist already, as {own}")
    return tuple(missing), tuple(told)


def describe_kept(client: str, disks: Sequence[str], dumptype: str) -> str:
    """Return what is told where `disks` were to be added with a dumptype, and are there."""
    removal = shlex.join(["asyncamanda", "server", "disk", "remove", client, *disks])
    return (
        f"--dumptype {dumptype} changes no disk that the disklist has ({name_disks(disks)}): for "
        f"another dumptype, remove it first (`{removal}`), and add it again"
    )


def check_new_disks(disks: Iterable[str]) -> None:
    """Raise UsageError if one of the `disks`, which are to be added, is not a path.

    Amanda takes a name as well, but only with a path behind it, which is added by hand.
    """
    for disk in disks:
        if not disk.startswith("/"):
            raise UsageError(
                "bad-disk",
                f"{disk!a} is not a path, such as /home",
                "a disk with a name of its own needs its path, too, and is added to the disklist "
                "by hand: CLIENT NAME /PATH DUMPTYPE",
            )


def render_dles(text: str, client: str, disks: Sequence[str], dumptype: str) -> str:
    """Return the disklist `text` with a line for each of the client's `disks` at its end."""
    lines = "".join(f"{client} {render_name(disk)} {dumptype}\n" for disk in disks)
    between = "\n" if text and not text.endswith("\n") else ""
    return f"{text}{between}{lines}"


@dataclass(frozen=True, slots=True)
class Addition:
    """Lines that a disklist is to have: of a client, with a dumptype."""

    client: str
    disks: tuple[str, ...]
    dumptype: str

    def check(self, file: DisklistFile) -> None:
        """Raise BadDataError, with Amanda's reason, if Amanda would refuse the disklist then.

        Raises RefusedError if it cannot be read.
        """
        file.check(self._plan, self._expect, by_hand=self._by_hand)

    def make(self, file: DisklistFile) -> None:
        """Add the lines. Raises what DisklistFile.change() raises."""
        file.change(self._plan, self._expect, by_hand=self._by_hand)

    @property
    def _by_hand(self) -> str:
        lines = render_dles("", self.client, self.disks, self.dumptype)
        return f"add this by hand, and enroll again:\n{lines}"

    def _plan(self, text: str) -> str:
        return render_dles(text, self.client, self.disks, self.dumptype)

    def _expect(self, before: Names) -> Names:
        return [*before, *((self.client, disk) for disk in self.disks)]
