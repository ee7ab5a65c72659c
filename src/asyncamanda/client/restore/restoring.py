"""Files come back: asked for, received, put in their places; and what is left if that is cut."""

import contextlib
import errno
import os
import time
from collections.abc import Sequence
from dataclasses import replace

from asyncamanda.client.restore.delivery import Delivery
from asyncamanda.client.restore.exchange import Interrupted
from asyncamanda.client.restore.foreseeing import Foresight
from asyncamanda.client.restore.gateway import Gateway
from asyncamanda.client.restore.in_place import Placed
from asyncamanda.client.restore.listing import NOTHING_MATCHED
from asyncamanda.client.restore.new_folder import PrivateFolder
from asyncamanda.client.restore.receiver import NO_SPACE, Receiver, RestoreTeller
from asyncamanda.client.restore.record_lines import Part
from asyncamanda.core.restore.outcome import RestoreOutcome
from asyncamanda.core.restore.request import At
from asyncamanda.core.restore.whereabouts import join
from asyncamanda.core.values.printable import printable
from asyncamanda.errors import AsyncamandaError, BadDataError, LaterError, RefusedError
from asyncamanda.report.restore import describe_outcome
from asyncamanda.system.untar import Unpacker

FULL = {errno.ENOSPC, errno.EDQUOT}


class Restoring:
    """One errand, from the first request to the last file in its place."""

    def __init__(self, gateway: Gateway, delivery: Delivery, teller: RestoreTeller) -> None:
        self._gateway = gateway
        self._delivery = delivery
        self._receiver = Receiver(gateway, delivery, teller)
        self._began = time.monotonic()

    @property
    def unmatched(self) -> tuple[tuple[bytes, tuple[bytes, ...]], ...]:
        """What was asked for and was not there then."""
        return tuple(sorted(self._receiver.unmatched.items()))

    def rehearse(self) -> RestoreOutcome:
        """Return what would come back. Raises what restore() raises."""
        foresight, overwrite = Foresight(), self._delivery.errand.overwrite
        try:
            for part in self._plan_ahead(self._delivery.errand.parts):
                if overwrite is not None:
                    foresight.look(self._gateway, part)
        except Interrupted:
            raise self._gateway.explain_stop() from None
        seen = self._receiver
        return RestoreOutcome(
            target="",
            outlooks=tuple(seen.outlooks),
            missing=tuple(sorted(seen.missing.items())),
            failed=tuple(sorted(foresight.failed.items())),
            unmatched=self.unmatched,
            existing=tuple(sorted(foresight.existing)),
            overwrite=overwrite,
            is_dry_run=True,
        )

    def restore(self) -> RestoreOutcome:
        """Bring all back that there is, and return what was done.

        Raises BadDataError if nothing matches, RefusedError, ProtocolError, and LaterError: then a
        later start goes on with what is there, if something is.
        """
        try:
            return self._restore()
        except Interrupted:
            raise self._keep(self._gateway.explain_stop()) from None
        except OSError as error:
            raise self._keep(self._explain_disk(error)) from error
        except LaterError as error:
            raise self._keep(error) from error
        except AsyncamandaError:
            self._delivery.abandon()
            raise
        finally:
            self._receiver.close()
            self._delivery.close()

    def _restore(self) -> RestoreOutcome:
        delivery, receiver = self._delivery, self._receiver
        if len(delivery.errand.parts) > 1 and delivery.folder is None:
            parts = self._plan_ahead(delivery.errand.parts)
            delivery.errand = replace(delivery.errand, parts=parts)
        state = delivery.folder.record.state if delivery.folder else None
        for number, part in enumerate(delivery.errand.parts):
            if state is None or (number >= state.part and not state.is_placing):
                receiver.fetch(number, part)
        assert delivery.folder
        unpacker = receiver.unpacker(delivery.folder)
        placed = delivery.finish(unpacker, receiver.show)
        return self._sum_up(delivery.folder, unpacker, placed)

    def _plan_ahead(self, parts: tuple[Part, ...]) -> tuple[Part, ...]:
        """Ask first what there is of each; return the parts that match, each of a certain run."""
        pinned = []
        for part in parts:
            if outlook := self._receiver.rehearse(part):
                self._receiver.outlooks.append(outlook)
                pinned.append(replace(part, at=At(run=outlook.run)))
        if not pinned:
            raise self._receiver.nothing_matched()
        return tuple(pinned)

    def _sum_up(self, folder: PrivateFolder, unpacker: Unpacker, placed: Placed) -> RestoreOutcome:
        delivery, state = self._delivery, folder.record.state
        top = delivery.top
        failed = state.failed | {join(top, path): why for path, why in placed.failed}
        is_new = delivery.errand.overwrite is None
        return RestoreOutcome(
            target=str(delivery.place) if is_new else "",
            outlooks=tuple(self._receiver.outlooks),
            files=state.files - placed.left,
            folders=max(state.folders - placed.left_folders, 0),
            size=max(state.size - placed.left_size, 0),
            seconds=time.monotonic() - self._began,
            missing=tuple(sorted(state.missing.items())),
            failed=tuple(sorted(failed.items())),
            unmatched=tuple(sorted((state.unmatched | self._receiver.unmatched).items())),
            kept=tuple(join(top, path) for path in sorted(placed.kept)),
            replaced=placed.replaced,
            overwrite=delivery.errand.overwrite,
            notes=tuple((*what, count) for what, count in sorted(unpacker.dresser.notes.items())),
        )

    # -- ends before the end

    def _explain_disk(self, error: OSError) -> AsyncamandaError:
        place = self._delivery.place
        if error.errno in FULL:
            words = f"nothing more can be written to {place}: {error.strerror}"
            return LaterError(NO_SPACE, words, "free some space")
        return RefusedError(
            "cannot-write", f"{place} cannot be written: {error.strerror}", "try another place"
        )

    def _keep(self, error: AsyncamandaError) -> AsyncamandaError:
        """Return `error` with how to go on, if something has come; else leave nothing behind."""
        delivery = self._delivery
        if delivery.folder is None:
            return error
        state = delivery.folder.record.state
        if not (state.done or state.part or isinstance(error, RefusedError)):
            delivery.abandon()
            return error
        with contextlib.suppress(OSError):  # else what was written last is done again
            delivery.folder.record.sync(os.fspath(delivery.folder.path))
        came = f"{state.files} file{' has' if state.files == 1 else 's have'} come so far"
        return type(error)(
            error.reference,
            f"{error.message}; {came}, to {printable(str(delivery.folder.path))}",
            f"to go on: asyncamanda restore {delivery.resume_command()}",
        )


def restore_all(
    gateway: Gateway, deliveries: Sequence[Delivery], teller: RestoreTeller, *, is_dry_run: bool
) -> RestoreOutcome:
    """Return what all deliveries together did, one after another.

    Raises what Restoring raises; BadDataError only if nothing matches in any of them.
    """
    outcomes: list[RestoreOutcome] = []
    unmatched: list[tuple[bytes, tuple[bytes, ...]]] = []
    nothing: BadDataError | None = None
    for delivery in deliveries:
        restoring = Restoring(gateway, delivery, teller)
        try:
            outcomes.append(restoring.rehearse() if is_dry_run else restoring.restore())
        except BadDataError as error:
            if error.reference != NOTHING_MATCHED:
                _tell_done(teller, outcomes)
                raise
            nothing = error
            unmatched += restoring.unmatched
        except AsyncamandaError:
            _tell_done(teller, outcomes)
            raise
    if nothing and not outcomes:
        raise nothing
    return combine(outcomes, unmatched)


def _tell_done(teller: RestoreTeller, outcomes: Sequence[RestoreOutcome]) -> None:
    """Say what was done of the disks before the one that ends it all."""
    for outcome in outcomes:
        for line in () if outcome.is_dry_run else describe_outcome(outcome):
            teller.tell(line)


def combine(
    outcomes: Sequence[RestoreOutcome], unmatched: Sequence[tuple[bytes, tuple[bytes, ...]]]
) -> RestoreOutcome:
    """Return several outcomes as one."""
    first, *rest = outcomes
    whole = replace(first, unmatched=(*first.unmatched, *unmatched))
    for each in rest:
        whole = replace(
            whole,
            outlooks=(*whole.outlooks, *each.outlooks),
            files=whole.files + each.files,
            folders=whole.folders + each.folders,
            size=whole.size + each.size,
            seconds=whole.seconds + each.seconds,
            missing=(*whole.missing, *each.missing),
            failed=(*whole.failed, *each.failed),
            unmatched=(*whole.unmatched, *each.unmatched),
            kept=(*whole.kept, *each.kept),
            replaced=whole.replaced + each.replaced,
            existing=(*whole.existing, *each.existing),
            notes=(*whole.notes, *each.notes),
        )
    return whole
