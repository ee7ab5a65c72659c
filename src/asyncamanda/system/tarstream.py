"""A tar stream that somebody else has made, read member by member as it comes."""

from collections.abc import Iterator

from asyncamanda.core.restore.image import ImageParser, Member
from asyncamanda.system.incoming import READ_BYTES, PipeSource, StreamCut


class StreamedMember:
    """A member whose header has come, and its contents, as far as they have been read.

    `within` is what of them has been read already; what else there is, is the source's next.
    """

    def __init__(self, member: Member, within: memoryview, source: PipeSource) -> None:
        self.member = member
        self.within = within
        self._source = source
        self._end = source.position + member.stored - len(within)

    def contents(self) -> Iterator[bytes | memoryview]:
        """Yield what is stored of it, in pieces. Raises StreamCut if the stream ends before."""
        if self.within:
            yield self.within
        while left := self._end - self._source.position:
            piece = self._source.read(min(left, READ_BYTES))
            if not piece:
                raise StreamCut
            yield piece

    def skip_rest(self) -> None:
        """Pass over what of the contents was not read. Raises StreamCut if it does not come."""
        self._source.skip(self._end - self._source.position)


def read_members(source: PipeSource) -> Iterator[StreamedMember]:
    """Yield each member, to the stream's end; what is not read of one is passed over.

    Raises BadImage if it is no such stream, and StreamCut if it ends before its end.
    """
    parser = ImageParser(source.position)
    while not parser.is_ended:
        at = source.position
        piece = memoryview(source.read())
        if not piece:
            raise StreamCut
        for member in parser.feed(at, piece):
            start = member.data - at
            within = piece[max(start, 0) : start + member.stored]
            streamed = StreamedMember(member, within, source)
            yield streamed
            streamed.skip_rest()
        parser.feed(parser.offset, b"")  # raises at once what is wrong behind the last member
