"""What `setup --code` does instead of waiting for an administrator."""

import random
import time
from dataclasses import replace
from pathlib import Path

from asyncamanda.client.setup import keys
from asyncamanda.client.setup.joining import ask_to_join
from asyncamanda.client.setup.probe import Ready
from asyncamanda.commands.enrolment import Applicant, get_admitted, plan_span
from asyncamanda.commands.printing import again, see_to, tell
from asyncamanda.core.protocol.joining import Joined, JoinRequest
from asyncamanda.core.values.interval import format_interval
from asyncamanda.errors import AsyncamandaError, LaterError
from asyncamanda.system.clock import now as read_clock

LEAST_NAP, LONGEST_NAP = 2.0, 10.0  # seconds: many may come by one code at a time
KEY_IN_USE = "key-in-use"


def join_by_code(applicant: Applicant, path: Path, *, is_new_key: bool) -> Ready:
    """Join, and return the gate's answer to the machine that has joined.

    `is_new_key`: if the server has this key from another machine, another one is made at `path`.
    Raises what ask_to_join() raises, and LaterError if that, or the gate, keeps saying so.
    """
    try:
        joined = _join_patiently(applicant)
    except AsyncamandaError as error:
        if error.reference != KEY_IN_USE or not is_new_key:
            raise
        see_to(keys.plan_new_key(path, applicant.account, read_clock()))
        applicant = replace(applicant, key=keys.read_key(path, applicant.account))
        joined = _join_patiently(applicant)
    for words in joined.warnings:
        tell(f"warning: {words}")
    options = replace(applicant.options, name=joined.client, disks=())
    return get_admitted(replace(applicant, options=options, is_named=True))


def _join_patiently(applicant: Applicant) -> Joined:
    options, key = applicant.options, applicant.key
    assert options.code
    line = f"{key.key_type} {key.key} {key.comment}".strip()
    request = JoinRequest(
        options.name, line, applicant.is_named, options.disks, applicant.is_encrypting
    )
    span = plan_span(applicant)
    give_up_at, told = read_clock() + span, ""
    while True:
        try:
            return ask_to_join(options.server, options.code, request, applicant.account.pw_name)
        except LaterError as error:
            if read_clock() >= give_up_at:
                hint = f"nothing done so far is lost; to continue: {again()}"
                raise LaterError(error.reference, error.message, hint) from error
            if error.message != told:
                how = "" if told else f" (for {format_interval(span)} at most; Ctrl-C stops)"
                tell(f"waiting{how}: {error.message}")
                told = error.message
        time.sleep(random.uniform(LEAST_NAP, LONGEST_NAP))  # noqa: S311 - no secret
