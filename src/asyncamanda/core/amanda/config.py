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
from asyncamanda.core.amanda.volumes import Volumes

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

    def find_volumes(self) -> Volumes:
        """Return how long its volumes are, and how many it has before it overwrites one."""
        tapetype = self._find_of_storage("TAPETYPE")
        length = to_kib(self.block_value("TAPETYPE", tapetype, "LENGTH"))
        return Volumes(max(length, 0) * 1024, max(to_kib(self.value("TAPECYCLE")), 0))

    def find_storages(self) -> tuple[str, ...]:
        """Return the storages that runs write to, as far as a definition of them is printed.

        It is of one that Amanda makes up as well, where amanda.conf has none.
        """
        names = self.values.get("STORAGE", ())
        return tuple(name for name in names if ("STORAGE", name) in self.blocks)

    def _find_of_storage(self, key: str) -> str:
        """Return a setting of the storage that runs write to, or of the whole configuration."""
        return self.block_value("STORAGE", self.value("STORAGE"), key) or self.value(key)

    def count_slots(self) -> int:
        """Return how many slots its changers have, by `num-slot`; 0 where that is not said."""
        names = dict.fromkeys(self._name_changers())
        return sum(to_kib(self.block_value("CHANGER", name, "PROPERTY num-slot")) for name in names)

    @property
    def has_other_volumes(self) -> bool:
        """Whether any storage writes to volumes that are no virtual tapes of chg-disk's."""
        return any(one and not one.startswith(_VTAPES) for one in self._find_changers())

    def _find_changers(self) -> list[str]:
        names = self._name_changers()
        return [self.block_value("CHANGER", name, "TPCHANGER") or name for name in names]

    def _name_changers(self) -> list[str]:
        named = [self.block_value(*key, "TPCHANGER") for key in self.blocks if key[0] == "STORAGE"]
        return [self.value("TPCHANGER"), *named]


def to_kib(word: str) -> int:
    """Return the number that a word begins with, such as 20480K; 0 if it is none."""
    found = re.match(r"-?[0-9]{1,18}", word)
    return int(found[0]) if found else 0


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
        elif words := [unquote(word) for word in _WORD.findall(line)]:
            if words[0] == "PROPERTY" and len(words) > 3:  # each has a name of its own
                words = [f"PROPERTY {words[2].lower()}", *words[3:]]
            block[words[0]] = tuple(words[1:])
    return AmandaConfig(values, blocks)
