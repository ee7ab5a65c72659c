"""Who is enrolled, by the text of authorized_keys: such a line has asyncamanda's forced command.

Every other line stays as it is, byte for byte. How a line is read: sshd(8), "AUTHORIZED_KEYS FILE
FORMAT", and OpenSSH's auth2-pubkeyfile.c.
"""

import re
from dataclasses import dataclass

from asyncamanda.core.protocol.authority import (
    DIRECT,
    NO_RESTORE,
    Identity,
    may_restore,
    parse_identity,
)
from asyncamanda.core.ssh.publickey import PublicKey
from asyncamanda.core.values.printable import printable
from asyncamanda.errors import RefusedError

_LINE = re.compile(r"[^\n]*\n|[^\n]+")  # str.splitlines() would cut at many other characters
# options end at the first blank outside of quotes, in which \" is a quote
_OPTIONS = re.compile(r'(?:\\"|"(?:\\"|[^"])*+"|[^ \t"])*+')
_OPTION = re.compile(r'(?P<name>[A-Za-z0-9-]+)(?:="(?P<value>(?:\\"|[^"])*+)")?(?:,|$)')
_KEY = re.compile(r"(?P<type>[a-z0-9@.-]+)[ \t]+(?P<key>[A-Za-z0-9+/=]+)(?:[ \t]+(?P<comment>.*))?")
_SKIPPED = str.maketrans("", "", "\r\v\f")  # b64_pton() reads over them within a key


@dataclass(frozen=True, slots=True)
class Enrolled:
    """A client that may connect: for which Amanda configuration, and with which key.

    `is_direct`: Amanda reaches it by itself, and not by the relay. `may_restore`: it gets files
    of its own dumps back when it asks for them.
    """

    client: str
    amanda_config: str
    key: PublicKey
    is_direct: bool = False
    may_restore: bool = True

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
    return Enrolled(*identity, public, DIRECT in words, may_restore(words))


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
    command = f"asyncamanda gate --client {entry.client} --amanda-config {entry.amanda_config}"
    command += f" {DIRECT}" if entry.is_direct else ""
    command += "" if entry.may_restore else f" {NO_RESTORE}"
    key = entry.key
    return f'restrict,command="{command}" {key.key_type} {key.key} {key.comment or entry.client}\n'


def plan_enroll(text: str, entry: Enrolled, *, is_replacing: bool = False) -> str:
    """Return authorized_keys with `entry` in it; the same text if it is enrolled already.

    With `is_replacing`, the lines that enrolled this client before go. Raises RefusedError if the
    key is anybody else's, or the client is enrolled otherwise, or in another case.
    """
    lines = _LINE.findall(text)
    entries = [parse_line(line) for line in lines]
    own = [found for found in entries if found and found.client == entry.client]
    for number, (line, found) in enumerate(zip(lines, entries, strict=True), 1):
        if _holds_key(line, entry.key.key) and not (found and found.client == entry.client):
            raise _not_its_own(number, found)
    if other := next((one for one in entries if one and _is_case_alone(one, entry)), None):
        raise RefusedError(
            "enrolled-already",
            f"{other.client} is enrolled, and Amanda takes {entry.client} for the same host",
            f"enroll it as {other.client}; or first: asyncamanda server revoke {other.client}",
        )
    alike = [one for one in own if _is_alike(one, entry)]
    if alike and len(alike) == len(own):
        if all(_flags(one) == _flags(entry) for one in alike):
            return text
        is_replacing = True  # it is the same client, by the same key
    if own and not is_replacing:
        raise _enrolled_otherwise(own[0], entry)
    kept = [
        line
        for line, found in zip(lines, entries, strict=True)
        if not (found and found.client == entry.client)
    ]
    if kept and not kept[-1].endswith("\n"):
        kept[-1] += "\n"
    return "".join([*kept, render_line(entry)])


def plan_rekey(text: str, client: str, key: PublicKey) -> str:
    """Return authorized_keys with another key for `client`; the options of its line stay.

    Raises RefusedError if the key is anybody else's.
    """
    kept: list[str] = []
    is_done = False
    for number, line in enumerate(_LINE.findall(text), 1):
        found = parse_line(line)
        if not (found and found.client == client):
            if _holds_key(line, key.key):
                raise _not_its_own(number, found)
            kept.append(line)
        elif not is_done:  # of several keys one stays
            options = _OPTIONS.match(line.strip(" \t\r\n"))
            assert options
            kept.append(f"{options[0]} {key.key_type} {key.key} {key.comment or client}\n")
            is_done = True
    return "".join(kept)


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
    line = line.translate(_SKIPPED).strip(" \t\n")
    return not line.startswith("#") and key in line.replace("\t", " ").split(" ")


def _is_case_alone(one: Enrolled, other: Enrolled) -> bool:
    """Return whether two names differ in the case of letters, which Amanda does not look at."""
    return one.client != other.client and one.client.lower() == other.client.lower()


def _is_alike(one: Enrolled, other: Enrolled) -> bool:
    return (one.identity, one.key.key) == (other.identity, other.key.key)


def _flags(entry: Enrolled) -> tuple[bool, bool]:
    return entry.is_direct, entry.may_restore


def _not_its_own(number: int, found: Enrolled | None) -> RefusedError:
    whose = f"{found.client}'s" if found else f"in line {number} of authorized_keys"
    return RefusedError(
        "key-in-use",
        f"this key is {whose} already, and a key identifies one client",
        "make another one on the client, as root: asyncamanda setup SERVER --new-key",
    )


def _enrolled_otherwise(found: Enrolled, entry: Enrolled) -> RefusedError:
    how = "with another key" if found.identity == entry.identity else f"for {found.amanda_config}"
    return RefusedError(
        "enrolled-already",
        f"{entry.client} is enrolled already, {how} ({found.key.key_type}, "
        f"{printable(found.key.comment)})",
        f"--replace replaces that key; or first: asyncamanda server revoke {entry.client}",
    )
