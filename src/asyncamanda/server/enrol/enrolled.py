"""Who is enrolled, by the text of authorized_keys: such a line has asyncamanda's forced command.

Every other line stays as it is, byte for byte. How a line is read: sshd(8), "AUTHORIZED_KEYS FILE
FORMAT", and OpenSSH's auth2-pubkeyfile.c.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from asyncamanda.core.protocol.authority import (
    DIRECT,
    LOST,
    NO_RESTORE,
    Identity,
    find_lost,
    may_restore,
    parse_identity,
)
from asyncamanda.core.ssh.publickey import PublicKey
from asyncamanda.errors import RefusedError
from asyncamanda.server.enrol.key_refusals import (
    refuse_known_key,
    refuse_lost,
    refuse_other_key,
    refuse_to_move,
)

LINE_END = "\n"
_LINE = re.compile(r"[^\n]*\n|[^\n]+")  # str.splitlines() would cut at many other characters
# options end at the first blank outside of quotes, in which \" is a quote
_OPTIONS = re.compile(r'(?:\\"|"(?:\\"|[^"])*+"|[^ \t"])*+')
_OPTION = re.compile(r'(?P<name>[A-Za-z0-9-]+)(?:="(?P<value>(?:\\"|[^"])*+)")?(?:,|$)')
_KEY = re.compile(r"(?P<type>[a-z0-9@.-]+)[ \t]+(?P<key>[A-Za-z0-9+/=]+)(?:[ \t]+(?P<comment>.*))?")
_LOST_FORM = "%Y%m%dT%H%M%SZ"  # LOST_SHAPE, of core/protocol/authority.py
SKIPPED = str.maketrans("", "", "\r\v\f")  # b64_pton() reads over them within a key


@dataclass(frozen=True, slots=True)
class Enrolled:
    """A client that may connect: for which Amanda configuration, and with which key.

    `is_direct`: Amanda reaches it by itself, and not by the relay. `may_restore`: it gets files
    of its own dumps back when it asks for them. `lost_at`: since when the machine that has this key
    counts as lost, which the gate refuses then; None where it does not.
    """

    client: str
    amanda_config: str
    key: PublicKey
    is_direct: bool = False
    may_restore: bool = True
    lost_at: datetime | None = None

    @property
    def identity(self) -> Identity:
        """Who it is, by its key."""
        return Identity(self.client, self.amanda_config)

    @property
    def restore(self) -> str:
        """Whose files it may have back, in a word: "own" or "none"."""
        return "own" if self.may_restore else "none"


def parse_line(line: str) -> Enrolled | None:
    """Return whom a line of authorized_keys enrolls, None if it is not asyncamanda's.

    Options that somebody added, such as from="...", and a program's whole path do not
    change that; a key that cannot be read does, because sshd accepts nobody with it.
    """
    line = line.strip(" \t\r\n")
    if line.startswith("#"):
        return None
    options = _OPTIONS.match(line)
    assert options
    commands = [
        option["value"] or ""
        for option in _OPTION.finditer(options[0])
        if option["name"].lower() == "command"
    ]
    key = _KEY.fullmatch(line[options.end() :].lstrip(" \t"))
    if len(commands) != 1 or not key:
        return None
    identity = _parse_command(commands[0])
    if identity is None:
        return None
    public = PublicKey(key["type"], key["key"], key["comment"] or "")
    words = commands[0].split()
    return Enrolled(*identity, public, DIRECT in words, may_restore(words), _parse_lost(words))


def _parse_lost(words: list[str]) -> datetime | None:
    """Return since when the key is lost; the beginning of time where that is no date."""
    stamp = find_lost(words)
    try:
        return datetime.strptime(stamp, _LOST_FORM).replace(tzinfo=UTC) if stamp else None
    except ValueError:  # somebody has typed it, and the gate refuses the key anyway
        return datetime.min.replace(tzinfo=UTC)


def _parse_command(command: str) -> Identity | None:
    """Return whom a forced command enrolls, None if it is not asyncamanda's."""
    program, *words = command.split() or [""]
    if program.rpartition("/")[2] != "asyncamanda" or words[:1] != ["gate"]:
        return None
    try:
        return parse_identity(words[1:])
    except ValueError:
        return None


def parse_registry(text: str) -> tuple[Enrolled, ...]:
    """Return who is enrolled by this text of authorized_keys, in its order."""
    return tuple(entry for line in _LINE.findall(text) if (entry := parse_line(line)))


def render_line(entry: Enrolled) -> str:
    """Return the line, with its end, that enrolls a client: for the gate, and nothing else."""
    key = entry.key
    return (
        f'restrict,command="{_render_command(entry, "asyncamanda")}" {key.key_type} {key.key} '
        f"{key.comment or entry.client}{LINE_END}"
    )


def _render_command(entry: Enrolled, program: str) -> str:
    command = f"{program} gate --client {entry.client} --amanda-config {entry.amanda_config}"
    command += f" {DIRECT}" if entry.is_direct else ""
    command += "" if entry.may_restore else f" {NO_RESTORE}"
    return command + (f" {LOST}{entry.lost_at:{_LOST_FORM}}" if entry.lost_at else "")


def plan_enroll(
    text: str, entry: Enrolled, *, is_replacing: bool = False, is_moving: bool = False
) -> str:
    """Return authorized_keys with `entry` in it; the same text if it is enrolled already.

    `is_replacing` lets it take the place of the client's other keys, `is_moving` that of its other
    Amanda configuration: one does not imply the other. The options of an administrator stay in its
    line. Raises RefusedError if the key is anybody else's, or lost, or the client is enrolled
    otherwise, or in another case.
    """
    lines = _LINE.findall(text)
    entries = [parse_line(line) for line in lines]
    own = [found for found in entries if found and found.client == entry.client]
    if any(one.lost_at and one.key.key == entry.key.key for one in own):
        raise refuse_lost(entry.client)
    entry = replace(entry, lost_at=None)  # it was another machine's key that was lost
    for number, (line, found) in enumerate(zip(lines, entries, strict=True), 1):
        if _holds_key(line, entry.key.key) and not (found and found.client == entry.client):
            raise refuse_known_key(number, found, entry.client)
    if other := next((one for one in entries if one and _is_case_alone(one, entry)), None):
        raise RefusedError(
            "enrolled-already",
            f"{other.client} is enrolled, and Amanda takes {entry.client} for the same host",
            f"enroll it as {other.client}; or first: asyncamanda server revoke {other.client}",
        )
    if own and all(_is_alike(one, entry) and _flags(one) == _flags(entry) for one in own):
        return text
    for one in own:
        if one.amanda_config != entry.amanda_config and not is_moving:
            raise refuse_to_move(one)
        if one.key.key != entry.key.key and not is_replacing:
            raise refuse_other_key(one)
    if own:
        return _change_line(text, entry)
    ended = "".join(lines)
    return f"{ended}{'' if not ended or ended.endswith(LINE_END) else LINE_END}{render_line(entry)}"


def _change_line(text: str, entry: Enrolled) -> str:
    """Return the text with the client's first line as `entry` has it, and without its others."""
    kept: list[str] = []
    is_done = False
    for line in _LINE.findall(text):
        found = parse_line(line)
        if not (found and found.client == entry.client):
            kept.append(line)
        elif not is_done:
            kept.append(_render_again(line, found, entry))
            is_done = True
    return "".join(kept)


def _render_again(line: str, found: Enrolled, entry: Enrolled) -> str:
    """Return a client's line with another key, and what its command says of the client."""
    options = _OPTIONS.match(line.strip(" \t\r\n"))
    assert options
    said = options[0]
    if (found.identity, _flags(found)) != (entry.identity, _flags(entry)):
        command = next(one for one in _OPTION.finditer(said) if one["name"].lower() == "command")
        program = command["value"].split()[0]
        said = (
            f"{said[: command.start('value')]}{_render_command(entry, program)}"
            f"{said[command.end('value') :]}"
        )
    key = entry.key
    return f"{said} {key.key_type} {key.key} {key.comment or entry.client}{LINE_END}"


def plan_rekey(text: str, client: str, key: PublicKey) -> str:
    """Return authorized_keys with another key for `client`; the options of its line stay.

    Of several keys it had one is left. Raises RefusedError if the key is anybody else's.
    """
    own = [entry for entry in parse_registry(text) if entry.client == client]
    for number, line in enumerate(_LINE.findall(text), 1):
        found = parse_line(line)
        if _holds_key(line, key.key) and not (found and found.client == client):
            raise refuse_known_key(number, found, client)
    if not own:
        return text
    is_lost = any(one.lost_at and one.key.key == key.key for one in own)
    return _change_line(text, replace(own[0], key=key, lost_at=own[0].lost_at if is_lost else None))


def plan_lost(text: str, client: str, at: datetime) -> str:
    """Return authorized_keys with the keys of `client` as lost since `at`, or since before."""
    return _change_each(text, client, lambda one: replace(one, lost_at=one.lost_at or at))


def plan_found(text: str, client: str) -> str:
    """Return authorized_keys with no key of `client` as lost."""
    return _change_each(text, client, lambda one: replace(one, lost_at=None))


def _change_each(text: str, client: str, change: Callable[[Enrolled], Enrolled]) -> str:
    lines = []
    for line in _LINE.findall(text):
        found = parse_line(line)
        is_changed = found and found.client == client and change(found) != found
        lines.append(_render_again(line, found, change(found)) if found and is_changed else line)
    return "".join(lines)


def plan_rename(text: str, old: str, new: str) -> str:
    """Return authorized_keys with the client `old` as `new`, by the same keys.

    Raises RefusedError if `new` is enrolled.
    """
    names = {entry.client.lower() for entry in parse_registry(text) if entry.client != old}
    if new.lower() in names:
        raise RefusedError(
            "enrolled-already",
            f"{new} is enrolled already",
            f"choose another name; or first: asyncamanda server retire {new}",
        )
    word = re.compile(rf'(?<=--client ){re.escape(old)}(?=[ "])')
    return "".join(
        word.sub(new, line) if (found := parse_line(line)) and found.client == old else line
        for line in _LINE.findall(text)
    )


def plan_revoke(text: str, client: str) -> str:
    """Return authorized_keys without the lines that enroll `client`."""
    return "".join(
        line
        for line in _LINE.findall(text)
        if not ((found := parse_line(line)) and found.client == client)
    )


def _holds_key(line: str, key: str) -> bool:
    """Return whether `key` stands anywhere in a line that is no comment: more than sshd would."""
    line = line.translate(SKIPPED).strip(" \t\n")
    return not line.startswith("#") and key in line.replace("\t", " ").split(" ")


def _is_case_alone(one: Enrolled, other: Enrolled) -> bool:
    """Return whether two names differ in the case of letters, which Amanda does not look at."""
    return one.client != other.client and one.client.lower() == other.client.lower()


def _is_alike(one: Enrolled, other: Enrolled) -> bool:
    return (one.identity, one.key.key) == (other.identity, other.key.key)


def _flags(entry: Enrolled) -> tuple[bool, bool, datetime | None]:
    return entry.is_direct, entry.may_restore, entry.lost_at
