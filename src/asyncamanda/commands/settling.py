"""Enrolling a machine that the server may know from elsewhere: by another name, or as a copy."""

from dataclasses import replace
from pathlib import Path

from asyncamanda.client.setup import keys
from asyncamanda.client.setup.naming import NameWish, OtherNameError, read_wish
from asyncamanda.client.setup.probe import Ready
from asyncamanda.commands.asking import ask, is_agreed
from asyncamanda.commands.enrolment import Applicant, get_enrolled, get_renamed
from asyncamanda.commands.joining import join_by_code
from asyncamanda.commands.printing import see_to, tell
from asyncamanda.core.protocol.tickets import SECOND_MACHINE
from asyncamanda.errors import AsyncamandaError
from asyncamanda.system.clock import now as read_clock


def settle_enrolment(
    applicant: Applicant, path: Path, *, is_new_key: bool, is_asking: bool
) -> Ready:
    """Get enrolled; with another name or a new key, if the server knows the key from elsewhere.

    Nothing of that is done without an answer: `is_new_key` is one. `path`: where the key is. With a
    code the machine joins by that. Raises what get_enrolled() and join_by_code() raise.
    """
    if applicant.options.code:
        return join_by_code(applicant, path, is_new_key=is_new_key)
    try:
        return get_enrolled(applicant)
    except OtherNameError as error:
        wish = _ask_name(error) if is_asking and not is_new_key else None
        if wish is NameWish.KEEP:
            options = replace(applicant.options, name=error.known)
            return get_enrolled(replace(applicant, options=options, is_named=True))
        if wish is NameWish.RENAME:
            get_renamed(applicant, error.known)
            return get_enrolled(replace(applicant, is_named=True))
        if wish is not NameWish.COPY and not is_new_key:
            raise
    except AsyncamandaError as error:
        if error.reference != SECOND_MACHINE:
            raise
        if not is_new_key and is_asking:
            tell(f"{error.message}.")
            is_new_key = is_agreed("Is this machine the copy? Make a new key for it?", "")
        if not is_new_key:
            raise
    see_to(keys.plan_new_key(path, applicant.account, read_clock()))
    key = keys.read_key(path, applicant.account)
    return get_enrolled(replace(applicant, key=key, is_key_new=True))


def _ask_name(error: OtherNameError) -> NameWish | None:
    """Ask what is wanted where the server has another name; None for nothing of it."""
    known, wanted = error.known, error.wanted
    tell(f"{error.message}. What is wanted?")
    print(f"  {NameWish.KEEP.value}    go on as {known}; client.toml gets that name")
    print(f"  {NameWish.RENAME.value}  rename {known} to {wanted} on the server")
    print(f"  {NameWish.COPY.value}    this machine is a copy of {known}: make a new key for it")
    answer = ask("Type keep, rename or copy, or nothing to change nothing:")
    while answer and read_wish(answer) is None:
        answer = ask("Please type keep, rename, copy, or nothing:")
    return read_wish(answer)
