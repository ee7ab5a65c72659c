"""The virtual tapes of a configuration, as they lie in its folders.

    FOLDER/slot3/00000.DAILY-003             the tape's own header, and its label in the name
    FOLDER/slot3/00001.laptop._home.0        a part of a dump

Nothing is asked of Amanda's changer, and nothing is reserved. Source: vfs-device.c of Amanda 3.5.1.
"""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from asyncamanda.server.amanda.commands import Settings

_LABEL_FILE = "00000."  # what the first file of a virtual tape is called before its label


class VirtualTapes:
    """What there was when each folder was first looked at."""

    def __init__(self, settings: Settings) -> None:
        self._folders = settings.vtapes
        self._slots: dict[str, list[str]] | None = None
        self._files: dict[str, dict[str, list[str]]] = {}  # of a slot, by their numbers

    def find_slots(self, label: str) -> list[str]:
        """Return the folders of the tapes of that label: one, if nobody has made copies."""
        if self._slots is None:
            self._slots = {}
            for slot in self._list_slots():
                with suppress(OSError):
                    for name in os.listdir(slot):  # noqa: PTH208 - names alone, and many
                        if name.startswith(_LABEL_FILE):
                            self._slots.setdefault(name[len(_LABEL_FILE) :], []).append(slot)
        return self._slots.get(label, [])

    def find_parts(self, label: str, number: int) -> Iterator[Path]:
        """Yield the files of that number on the tapes of that label."""
        for slot in self.find_slots(label):
            if slot not in self._files:
                self._files[slot] = {}
                with suppress(OSError):
                    for name in os.listdir(slot):  # noqa: PTH208 - as above
                        self._files[slot].setdefault(name.partition(".")[0], []).append(name)
            yield from (Path(slot, name) for name in self._files[slot].get(f"{number:05d}", ()))

    def _list_slots(self) -> Iterator[str]:
        for folder in self._folders:
            with suppress(OSError):
                for slot in os.scandir(folder):
                    if slot.name.startswith("slot"):
                        yield slot.path
