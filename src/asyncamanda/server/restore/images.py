"""The whole images of a chain of dumps that are open: what there is, and one of them written."""

from collections.abc import Callable

from asyncamanda.core.restore.answer import ImageOfDisk, ImagesPlan
from asyncamanda.core.restore.recorded import RecordedDump
from asyncamanda.errors import BadDataError
from asyncamanda.server.restore.reading import OpenChain, find_image_size, write_raw
from asyncamanda.server.restore.sinks import Sink
from asyncamanda.server.restore.streams import Image, PlainImage


class ChainImages:
    """The images of which a disk can be made as it was at the date of a chain."""

    def __init__(self, chain: OpenChain, device: str) -> None:
        dumps = chain.chosen.dumps
        described = tuple(map(_describe, dumps, chain.images))
        self.plan = ImagesPlan(described, chain.chosen.doubts, device)
        self._chain = chain
        self._sink: Sink | None = None

    @property
    def counts(self) -> tuple[int, int]:
        """How many images went out by now, or a part of them, and how many bytes."""
        return (1, self._sink.written) if self._sink else (0, 0)

    def find_run(self, level: int) -> str:
        """Return the run that has made the image of a level. Raises BadDataError if none has."""
        return self.plan.images[self._find(level)].run

    def write(
        self, level: int, skip: int, out: int, follow: Callable[[Callable[[], int]], None]
    ) -> int:
        """Write the image of a level to the descriptor `out`; return how many bytes it has.

        The first `skip` bytes are passed over. `follow` is given what tells how many bytes went out
        by now. Raises as find_run() and write_raw() do.
        """
        image = self._chain.image(self._find(level))
        sink = self._sink = Sink(out)
        follow(lambda: sink.written)
        return write_raw(image, sink, skip)

    def _find(self, level: int) -> int:
        levels = [each.level for each in self.plan.images]
        if level not in levels:
            raise BadDataError(
                "no-such-level",
                f"there is no dump of level {level} among those that lead to that date",
                f"there are the levels {', '.join(map(str, levels))}",
            )
        return levels.index(level)


def _describe(dump: RecordedDump, image: Image) -> ImageOfDisk:
    verdict, form, header = dump.verdict, image.files.form, image.files.header
    is_sealed = form.is_sealed and isinstance(image, PlainImage)
    assert verdict.dumped_at is not None
    assert verdict.level is not None
    return ImageOfDisk(
        verdict.timestamp,
        verdict.dumped_at,
        verdict.level,
        form.maker,
        form.is_tar,
        find_image_size(image),
        claims=header.claims if is_sealed else "",
        dle=header.dle,
        unpacked_size=header.unpacked_size if is_sealed else None,
    )
