"""The server's host key, which `setup` shows to the user, who confirms it."""

import pwd

from asyncamanda.client.setup import hostkey
from asyncamanda.client.setup.hostkey import Place
from asyncamanda.client.setup.offer import Offer, look_at_offer
from asyncamanda.client.setup.options import SetupOptions
from asyncamanda.commands.asking import ask
from asyncamanda.core.ssh.publickey import PublicKey
from asyncamanda.errors import LaterError, RefusedError, UsageError


def look(options: SetupOptions, place: Place, account: pwd.struct_passwd) -> Offer:
    """Return what the server offers, or what is known of it where it does not answer."""
    known = hostkey.find_known(place, account)
    try:
        return look_at_offer(options.server, place, account, known, options.fingerprint)
    except LaterError:
        if not known.keys:
            raise
        return Offer(known.keys, "")  # ssh compares it, as soon as the server is back


def settle_host_key(
    options: SetupOptions,
    place: Place,
    account: pwd.struct_passwd,
    offer: Offer,
    *,
    is_asking: bool,
) -> tuple[PublicKey, bool]:
    """Return the server's host key, which is known or was confirmed, and whether it is known."""
    known = hostkey.find_known(place, account)
    user = account.pw_name
    try:
        key, is_known = hostkey.choose_key(offer.keys, known, place, options.fingerprint, user)
    except RefusedError as error:
        if options.code is None or error.reference != hostkey.WRONG_FINGERPRINT:
            raise
        raise _refuse_code(place, offer) from error
    if is_known or options.fingerprint:
        return key, is_known
    shown = hostkey.show_key(key, place)
    how = f"ssh-keygen -lf {hostkey.name_file(key)}"
    if not is_asking:
        raise UsageError(
            "nobody-to-ask",
            f"the host key of {place.host} is not known here, and there is no terminal to ask "
            f"on: {shown}",
            f"compare it with what `{how}` prints on the server, and add --fingerprint "
            f"{key.fingerprint}",
        )
    print(f"The host key of {place.host} is\n  {shown}")
    print(f"The server's administrator can display it with\n  {how}", flush=True)
    _confirm(key)
    return key, False


def _refuse_code(place: Place, offer: Offer) -> RefusedError:
    return RefusedError(
        "code-other-server",
        f"the code is another server's: {place.host} has the host key {offer.keys[0].fingerprint}",
        "nothing was sent, and nothing changed. Is the server's name right? If so, the connection "
        "may be intercepted: ask its administrator",
    )


def _confirm(key: PublicKey) -> None:
    """Return when the key is confirmed. Raises RefusedError if it is not."""
    answer = ask("Is it the same? Type yes, or the fingerprint itself:")
    while answer not in {"yes", "no", key.fingerprint}:
        answer = ask("Please type yes, no, or the fingerprint:")
    if answer == "no":
        raise RefusedError(
            "host-key-not-confirmed",
            "the host key was not confirmed, and nothing was changed",
            "compare it with what the server's administrator sees",
        )
