"""Images come back: received beside their place and put there; and what is left if that is cut."""

import errno
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from asyncamanda.client.restore.exchange import Interrupted
from asyncamanda.client.restore.gateway import Gateway
from asyncamanda.client.restore.image_files import ImageFolder, name_image, open_image_folder
from asyncamanda.client.restore.images import ImageReceiver
from asyncamanda.core.restore.answer import ImageOfDisk
from asyncamanda.core.values.printable import printable
from asyncamanda.core.values.shellwords import quote_words
from asyncamanda.core.values.size import format_size
from asyncamanda.errors import AsyncamandaError, LaterError, RefusedError

FULL = {errno.ENOSPC, errno.EDQUOT}


class ImageTeller(Protocol):
    """Tells people how it goes."""

    def tell(self, text: str) -> None:
        """Say something that matters now."""

    def progress(self, files: int, size: int) -> None:
        """Show how much has come; called often."""


@dataclass(frozen=True, slots=True)
class ImageErrand:
    """Images that are wanted, in order: `run` is that of the chain's last dump.

    `target` is where they go, as a file or, if `is_folder`, as a new folder with all of them.
    `is_one`: a single level was asked for.
    """

    disk: str
    run: str
    images: tuple[ImageOfDisk, ...]
    target: Path
    is_folder: bool
    is_one: bool = False
    is_resumed: bool = False

    @property
    def size(self) -> int | None:
        """How many bytes all of them have, None if that is not known of one."""
        sizes = [image.size for image in self.images if image.size is not None]
        return sum(sizes) if len(sizes) == len(self.images) else None

    def name(self, image: ImageOfDisk) -> str:
        """Return an image's name in the folder, "" for a file."""
        return name_image(image.level) if self.is_folder else ""

    def resume_command(self) -> str:
        """Return the arguments of `asyncamanda restore` that go on with it."""
        level = ["--level", str(self.images[0].level)] if self.is_one else []
        target = f"{self.target}/" if self.is_folder else str(self.target)
        words = ["--raw", self.disk, "--at", self.run, *level, "--to", target, "--resume"]
        return quote_words(words)


class ImageRestoring:
    """One errand, from the first request to the last image in its place."""

    def __init__(self, gateway: Gateway, errand: ImageErrand, teller: ImageTeller) -> None:
        self._gateway = gateway
        self._errand = errand
        self._teller = teller
        self._whole: list[int] = []  # sizes of the images that are there
        show = self._show
        self._receiver = ImageReceiver(gateway, errand.disk, errand.run, teller.tell, show)

    def restore(self, on_begin: Callable[[], None]) -> int:
        """Bring all of them to their place; return how many bytes they have.

        `on_begin` is called before the first byte. Raises what ImageReceiver.fetch() and
        open_image_folder() raise; LaterError also where there is no room. What has come then stays,
        and a later start can go on.
        """
        errand = self._errand
        folder = open_image_folder(errand.target, errand.run, is_resumed=errand.is_resumed)
        try:
            self._check_room(folder)
            on_begin()
            for image in errand.images:
                self._fetch(folder, image)
            if errand.is_folder:
                folder.place_folder()
            else:
                folder.place_file(errand.images[0].level)
        except Interrupted:
            raise self._keep(folder, self._gateway.explain_stop("try again")) from None
        except OSError as error:
            raise self._keep(folder, self._explain_disk(error)) from error
        except AsyncamandaError as error:
            raise self._keep(folder, error) from error
        finally:
            folder.close()
        return sum(self._whole)

    def write(self, sink: int, on_begin: Callable[[], None]) -> int:
        """Write the one image to the descriptor `sink`; return how many bytes it has.

        Raises what ImageReceiver.fetch() raises, and LaterError if the reader leaves.
        """
        on_begin()
        try:
            self._receiver.fetch(self._errand.images[0], sink, 0)
        except Interrupted:
            raise self._gateway.explain_stop("try again") from None
        except OSError as error:
            raise LaterError(
                "reader-left",
                f"the image cannot be written to stdout any more: {error.strerror}",
                "what has been written is not the whole image",
            ) from error
        return self._receiver.have

    def _fetch(self, folder: ImageFolder, image: ImageOfDisk) -> None:
        have = folder.find_size(image.level)
        if not folder.is_whole(image.level):
            descriptor = folder.begin(image.level)
            is_whole = False
            try:
                self._receiver.fetch(image, descriptor, have)
                is_whole = True
            finally:
                folder.end(image.level, descriptor, is_whole=is_whole)
        self._whole.append(folder.find_size(image.level))

    def _check_room(self, folder: ImageFolder) -> None:
        images = self._errand.images
        needed = sum(max((one.size or 0) - folder.find_size(one.level), 0) for one in images)
        if needed > (free := folder.free_bytes()):
            raise LaterError(
                "no-space",
                f"{format_size(needed)} would come back, and for {self._errand.target} there is "
                f"room for {format_size(free)}",
                "free some space, or name another place with --to",
            )

    def _show(self, have: int) -> None:
        self._teller.progress(len(self._whole), sum(self._whole) + have)

    def _explain_disk(self, error: OSError) -> AsyncamandaError:
        words = f"{self._errand.target} cannot be written: {error.strerror}"
        if error.errno in FULL:
            return LaterError("no-space", words, "free some space")
        return RefusedError("cannot-write", words, "try another place")

    def _keep(self, folder: ImageFolder, error: AsyncamandaError) -> AsyncamandaError:
        """Return `error` with how to go on, if something has come; else leave nothing behind."""
        came = sum(folder.find_size(image.level) for image in self._errand.images)
        if not came:
            folder.remove()
            return error
        place = printable(str(folder.path))
        return type(error)(
            error.reference,
            f"{error.message}; {format_size(came)} have come so far, to {place}",
            f"to go on: asyncamanda restore {self._errand.resume_command()}",
        )
