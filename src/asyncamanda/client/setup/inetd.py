"""inetd's amandad, which Debian's packages switch on, and which the gate does not need."""

from asyncamanda.client.schedule.machine import find_program
from asyncamanda.client.start.probing import INETD, read_lines
from asyncamanda.core.doctor.inetd import SWITCH_OFF, find_services
from asyncamanda.system.programs import run_or_refuse

SWITCHED_WITHIN = 30.0  # seconds


def is_amandad_offered() -> bool:
    """Return whether inetd is configured to start amandad for the network."""
    return bool(find_services(read_lines(INETD)))


def switch_off() -> None:
    """Take amandad out of inetd's configuration. Raises RefusedError with what prevented it."""
    argv = (find_program(SWITCH_OFF[0]) or SWITCH_OFF[0], *SWITCH_OFF[1:])
    hint = f"put a # before its line in {INETD}, and reload inetd"
    run_or_refuse(argv, SWITCHED_WITHIN, hint, " ".join(SWITCH_OFF))
