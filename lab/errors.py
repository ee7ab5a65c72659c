"""What can go wrong with the lab itself."""

from collections.abc import Sequence

from asyncamanda.errors import AsyncamandaError, Exit


class LabError(AsyncamandaError):
    """The lab cannot be built, or something that a lab's host was told to do failed."""

    exit = Exit.INTERNAL


class LabUnavailableError(LabError):
    """This machine lacks what a lab is built from."""

    exit = Exit.USAGE


class LabCommandError(LabError):
    """A program on a host failed. `returncode` is None where it took too long."""

    def __init__(
        self, host: str, argv: Sequence[str], returncode: int | None, output: tuple[str, str]
    ) -> None:
        self.argv = tuple(argv)
        self.returncode = returncode
        self.stdout, self.stderr = output
        ending = "took too long" if returncode is None else f"exit {returncode}"
        super().__init__(
            "lab-command",
            f"{host}: {' '.join(argv)}: {ending}\n"
            f"--- stdout\n{self.stdout}\n--- stderr\n{self.stderr}",
            "see the program's own words above",
        )
