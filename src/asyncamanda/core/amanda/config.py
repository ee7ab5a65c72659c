"""An Amanda configuration, as `amadmin CONF config` prints it.

    LOGDIR                "/var/lib/amanda/daily/log"
    HOLDINGDISK           holding
    DEFINE HOLDINGDISK holding {
          DIRECTORY "/srv/amanda/holding"
    }

Strings are quoted as everywhere in Amanda; the keys before the first DEFINE are the
configuration's own. Templates that Amanda brings along are printed as comments. Source: amadmin.c
and conffile.c of Amanda 3.5.1, pinned against the real one by tests/e2e/test_amanda_facts.py.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from asyncamanda.core.amanda.quoting import unquote

_DEFINE = re.compile(r'DEFINE ([A-Z-]+) ("(?:\\.|[^"\\])*+"|\S+) *(?:\S.*)?\{')
_WORD = re.compile(r'"(?:\\.|[^"\\])*+"|[^ "]+')
_VTAPES = "chg-disk:"


@dataclass(frozen=True, slots=True)
class AmandaConfig:
    """The words behind each key, and those of each definition by its kind and name."""

    values: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    blocks: Mapping[tuple[str, str], Mapping[str, tuple[str, ...]]] = field(default_factory=dict)

    def value(self, key: str) -> str:
        """Return the first word behind `key`, "" for none."""
        return next(iter(self.values.get(key, ())), "")

    def block_value(self, kind: str, name: str, key: str) -> str:
        """Return the first word behind a definition's `key`, "" where there is none."""
        return next(iter(self.blocks.get((kind, name), {}).get(key, ())), "")

    def find_vtapes(self) -> tuple[str, ...]:
        """Return the folders of the virtual tapes that its storages write to.

        Each has a changer, by name or at once; chg-disk's is a folder. Other changers (tapes, S3)
        are passed over.
        """
        folders = [
            one.removeprefix(_VTAPES) for one in self._find_changers() if one.startswith(_VTAPES)
        ]
        return tuple(dict.fromkeys(folders))

    @property
    def has_other_volumes(self) -> bool:
        """Whether any storage writes to volumes that are no virtual tapes of chg-disk's."""
        return any(one and not one.startswith(_VTAPES) for one in self._find_changers())

    def _find_changers(self) -> list[str]:
        named = [self.value("TPCHANGER")]
        named += [self.block_value(*key, "TPCHANGER") for key in self.blocks if key[0] == "STORAGE"]
        return [self.block_value("CHANGER", name, "TPCHANGER") or name for name in named]


def parse_config(text: str) -> AmandaConfig:
    """Return what `amadmin CONF config` printed, as far as it is understood. Never raises."""
    values: dict[str, tuple[str, ...]] = {}
    blocks: dict[tuple[str, str], dict[str, tuple[str, ...]]] = {}
    block = values
    for line in text.split("\n"):
        if found := _DEFINE.fullmatch(line):
            block = blocks.setdefault((found[1], unquote(found[2])), {})
        elif line == "}":
            block = {}  # nothing of the configuration's own comes behind a definition
        elif words := _WORD.findall(line):
            block[words[0]] = tuple(unquote(word) for word in words[1:])
    return AmandaConfig(values, blocks)
