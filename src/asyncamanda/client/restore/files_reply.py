"""The broker's answer to an ordinary user who wants files: those that the user could have read."""

from dataclasses import replace

from asyncamanda.client.restore.claims import Claimant, Judgement, check_done, understanding
from asyncamanda.client.restore.voice import Voice
from asyncamanda.core.restore.answer import RestoreAnswer, RestoreDone
from asyncamanda.core.restore.archive import END
from asyncamanda.core.restore.handover import UNREADABLE, Handover
from asyncamanda.core.restore.request import At, FilesRequest, RestoreRequest, Resume

LONGEST_ASKED = 1 << 17  # bytes of names in one request; JSON may need six times as many


class FilesReply:
    """A stream of files."""

    def __init__(self, request: FilesRequest, claimant: Claimant, voice: Voice) -> None:
        self._judge = Judgement(claimant, request.paths, voice)
        self._request: FilesRequest = request
        self._voice = voice
        self._handover: Handover | None = None
        self._asked: set[bytes] = set()  # links that were asked for by themselves
        self._waiting: list[bytes] = []
        self._round: list[bytes] = []
        self._is_begun = False

    @property
    def is_ready(self) -> bool:
        return self._judge.ways is not None

    @property
    def is_done(self) -> bool:
        return self._judge.is_done

    def plan_request(self) -> RestoreRequest | None:
        self._judge.begin_round()
        if not self._is_begun:
            self._is_begun = True
            resume = self._request.resume
            # how many members came says nothing at the server, which sends more of them
            begun = resume and Resume(resume.dumps, 0)
            return replace(self._request, has_owners=True, resume=begun)
        self._round, self._waiting = _cut_off(self._waiting)
        if not self._round or self._judge.plan is None:
            return None
        self._files().begin()
        at = At(run=self._judge.plan.run)
        return FilesRequest(self._request.disk, tuple(self._round), at, has_owners=True)

    def hear(self, answer: RestoreAnswer) -> None:
        self._judge.hear(answer)

    def take(self, piece: memoryview) -> None:
        handover = self._files()
        with understanding():
            self._voice.hand_over(handover.feed(piece))
        for path, reason in handover.missing:
            self._judge.tell_missing(path, reason)
        handover.missing.clear()

    def end_round(self) -> None:
        check_done(is_done=self._judge.is_done)
        if not self._judge.has_matched:
            for link in self._round:
                self._judge.tell_missing(link, UNREADABLE)
            return
        handover = self._files()
        with understanding():
            handover.end()
        for link in handover.links:
            if link in self._asked:
                self._judge.tell_missing(link, UNREADABLE)
            else:
                self._asked.add(link)
                self._waiting.append(link)
        handover.links.clear()

    def finish(self) -> None:
        if self._handover is None:  # nothing was there
            self._judge.tell_rest([])
            return
        self._voice.hand_over([END])
        self._judge.tell_rest(self._handover.seen)
        self._voice.answer(RestoreDone(self._handover.files, self._handover.size))

    def _files(self) -> Handover:
        if self._handover is None:
            claimant, request = self._judge.claimant, self._request
            skipped = request.resume.done if request.resume else 0
            self._handover = Handover(
                self._judge.known_ways(), claimant.owner, request.paths, skipped
            )
        return self._handover


def _cut_off(paths: list[bytes]) -> tuple[list[bytes], list[bytes]]:
    """Return as many paths as fit into one request, and the rest."""
    size = 0
    for index, path in enumerate(paths):
        size += len(path) + 3
        if size > LONGEST_ASKED and index:
            return paths[:index], paths[index:]
    return paths, []
