"""The beginnings of images that were opened once: lists, kept on the machine that they are of.

A list costs the server the sending of an image's beginning, and this machine the opening of it, so
each is kept, gzipped, in a folder of root's. What is kept and damaged is read again.
"""

import gzip
import hashlib
import os
import time
import zlib
from contextlib import suppress
from pathlib import Path

from asyncamanda.core.restore.answer import ImageOfDisk
from asyncamanda.system.files import make_private, open_folder, read_regular, replace_in_parts

FOLDER = Path("/var/lib/asyncamanda/opened")
LARGEST = 1 << 26  # bytes of an image's beginning
KEPT_FOR = 60 * 86_400  # seconds since it was used last


class BeginningStore:
    """The beginnings of images, in a folder; where it cannot be used nothing is kept."""

    def __init__(self, folder: Path = FOLDER) -> None:
        self._folder = folder

    def find(self, disk: str, image: ImageOfDisk) -> bytes:
        """Return the beginning of an image, b"" if it is not kept."""
        path = self._folder / _name(disk, image)
        with suppress(OSError, EOFError, zlib.error):
            packed = read_regular(path, LARGEST)
            os.utime(path, follow_symlinks=False)
            return gzip.decompress(packed)
        return b""

    def keep(self, disk: str, image: ImageOfDisk, beginning: bytes) -> None:
        """Keep it, and remove what nobody has used for a while."""
        if len(beginning) > LARGEST:
            return
        with suppress(OSError):
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            make_private(self._folder)
            folder = open_folder(self._folder)
            try:
                packed = gzip.compress(beginning, 1)
                replace_in_parts(folder, _name(disk, image), [packed], 0o600)
            finally:
                os.close(folder)
            self._tidy()

    def _tidy(self) -> None:
        for path in self._folder.iterdir():
            if path.lstat().st_mtime < time.time() - KEPT_FOR:
                path.unlink(missing_ok=True)


def _name(disk: str, image: ImageOfDisk) -> str:
    words = f"{disk}\0{image.run}\0{image.level}\0{image.size}"
    return hashlib.sha256(words.encode("utf-8", "surrogateescape")).hexdigest()
