"""The names of an export's members: a strict list, for an archive may come from a foreign hand.

export.json                    what it is (manifest.py); the first
server.toml, authorized_keys, ledger.sqlite
hostkeys/ssh_host_ed25519_key
common/FILE                    of /etc/amanda, of no configuration's own
amanda/CONFIG/PART/FILE        each PART is a folder of an Amanda configuration's
manifest.json                  each member's size and checksum; the last
"""

import re
from dataclasses import dataclass

from asyncamanda.core.protocol.authority import check_amanda_config_name

HEAD, MANIFEST = "export.json", "manifest.json"
SERVER_TOML, REGISTRY, LEDGER = "server.toml", "authorized_keys", "ledger.sqlite"
HOST_KEYS, COMMON = "hostkeys", "common"
AMANDA = "amanda"
CONF, LOGS, INFO, INDEX, HEADS, TAPELIST = "conf", "log", "curinfo", "index", "heads", "tapelist"
KEPT = "kept-volumes"  # which Amanda is not to use again, for whom
PARTS = (CONF, LOGS, INFO, INDEX, HEADS, TAPELIST, KEPT)
OWN_PARTS = frozenset({HEADS, KEPT})  # in folders of asyncamanda's
BEFORE_IMPORT = "~before-import-"  # in a name: what an import has set aside, and no configuration
DEEPEST = 16  # folders in one another
LONGEST = 255  # bytes of a file's name

_SINGLE = frozenset({HEAD, MANIFEST, SERVER_TOML, REGISTRY, LEDGER})
_HOST_KEY = re.compile(r"ssh_host_[a-z0-9]{1,20}_key(\.pub)?")


@dataclass(frozen=True, slots=True)
class MemberName:
    """A member: `group` is its first word, or PART where it is `amanda_config`'s.

    `path` is the file's, relative to its folder; "" for the members that stand alone.
    """

    group: str
    amanda_config: str = ""
    path: str = ""


def parse_member_name(name: str) -> MemberName:
    """Return what a member is. Raises ValueError for any name but those that an export writes."""
    if name in _SINGLE:
        return MemberName(name)
    group, _, rest = name.partition("/")
    if group == HOST_KEYS:
        if not _HOST_KEY.fullmatch(rest):
            raise ValueError("it is no host key's name")
        return MemberName(group, "", rest)
    if group == COMMON:
        return MemberName(group, "", _check_path(rest))
    if group != AMANDA:
        raise ValueError("an export has no member of that name")
    amanda_config, _, rest = rest.partition("/")
    check_amanda_config_name(amanda_config)
    part, _, path = rest.partition("/")
    if part not in PARTS:
        raise ValueError("an export has no member of that name")
    return MemberName(part, amanda_config, _check_path(path))


def _check_path(path: str) -> str:
    words = path.split("/")
    if len(words) > DEEPEST or any(not _is_plain(word) for word in words):
        raise ValueError("it leads out of its folder, or is not written plainly")
    return path


def _is_plain(word: str) -> bool:
    length = len(word.encode("utf-8", "surrogateescape"))
    return 0 < length <= LONGEST and word not in {".", ".."} and "\0" not in word
