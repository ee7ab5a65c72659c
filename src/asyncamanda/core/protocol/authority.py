"""What a client's key may do: its identity, and the commands that it may ask for.

The key's line in authorized_keys names a forced command; its arguments say who the client
is, and what the client asked for comes beside it as SSH_ORIGINAL_COMMAND (sshd(8),
"AUTHORIZED_KEYS FILE FORMAT"). That is compared whole with what is allowed, a token's digits
aside: nothing takes it apart, so nothing can be hidden in it.

Every connected client has a gate process that imports this. So it imports nothing: a dataclass or
an Enum would load a dozen or more modules that a bare interpreter does not have.
"""

ALLOWED = "asyncamanda gate"
ATTACH = "asyncamanda gate attach "  # and a token
RESTORE = "asyncamanda gate restore"
TOKEN_DIGITS = 32
DIRECT = "--direct"  # Amanda reaches this client without its connection
NO_RESTORE = "--no-restore"  # this client gets no files back
FLAGS = (DIRECT, NO_RESTORE)  # the registry's own, in the order in which they end the arguments
LOST = "--lost="  # and since when: whoever has this key is not served
LOST_SHAPE = "00000000T000000Z"  # what follows that, a time in UTC: each 0 is a digit
LONGEST_CLIENT = 253  # characters, as a host name's in the DNS (RFC 1035)
LONGEST_AMANDA_CONFIG = 64
SHOWN = 60  # characters of a command that was denied

_FIRST = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_")
_FURTHER = _FIRST | frozenset(".-")
_HEX = frozenset("0123456789abcdef")


class Identity(tuple[str, str]):
    """Who a client is, by its key: its host name in the disklist, and the configuration."""

    __slots__ = ()

    def __new__(cls, client: str, amanda_config: str) -> "Identity":
        return super().__new__(cls, (client, amanda_config))

    @property
    def client(self) -> str:
        """The client's host name in Amanda's disklist."""
        return self[0]

    @property
    def amanda_config(self) -> str:
        """The Amanda configuration that it is backed up with."""
        return self[1]

    def __repr__(self) -> str:
        return f"Identity(client={self.client!r}, amanda_config={self.amanda_config!r})"


class Verb:
    """What a key may ask for; compare with `is`."""

    __slots__ = ("name",)

    TALK: "Verb"  # to talk with the dispatcher (messages.py)
    RESTORE: "Verb"  # to list its own dumps, and to get files of them back

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"Verb({self.name!r})"


Verb.TALK = Verb("talk")
Verb.RESTORE = Verb("restore")


class Attach(str):
    """A request to join a stream that the dispatcher asked for; the text is the token."""

    __slots__ = ()


class Denied(tuple[str, str]):
    """Why a key may not do what it asks for, and what to do instead; printable ASCII."""

    __slots__ = ()

    def __new__(cls, message: str, hint: str) -> "Denied":
        return super().__new__(cls, (message, hint))

    @property
    def message(self) -> str:
        """What was denied."""
        return self[0]

    @property
    def hint(self) -> str:
        """What the key is for."""
        return self[1]

    def __repr__(self) -> str:
        return f"Denied(message={self.message!r}, hint={self.hint!r})"


def parse_identity(argv: list[str]) -> Identity:
    """Return who `--client CLIENT --amanda-config NAME` is, in either order.

    The FLAGS may follow, each once and in their order, and LOST with its stamp as the last.

    Raises ValueError if `argv` is anything else, or a name is none.
    """
    if find_lost(argv):
        argv = argv[:-1]
    for flag in reversed(FLAGS):
        if argv[-1:] == [flag]:
            argv = argv[:-1]
    options = dict(zip(argv[::2], argv[1::2], strict=False))
    if len(argv) != 4 or options.keys() != {"--client", "--amanda-config"}:
        raise ValueError("the arguments are not --client CLIENT --amanda-config NAME")
    identity = Identity(options["--client"], options["--amanda-config"])
    check_client_name(identity.client)
    check_amanda_config_name(identity.amanda_config)
    return identity


def may_restore(argv: list[str]) -> bool:
    """Return whether the client that parse_identity() finds in `argv` may get files back."""
    return NO_RESTORE not in argv  # which is nobody's name


def find_lost(argv: list[str]) -> str:
    """Return since when the key that `argv` is for counts as lost, as LOST_SHAPE; "" if not."""
    last = argv[-1] if argv else ""
    stamp = last[len(LOST) :] if last.startswith(LOST) else ""
    shape = "".join("0" if "0" <= c <= "9" else c for c in stamp)
    return stamp if shape == LOST_SHAPE else ""


def check_client_name(name: str) -> None:
    """Raise ValueError unless `name` may be a client's.

    It becomes an argument of Amanda's programs and a folder's name.
    """
    _check_name("a client's name", name, LONGEST_CLIENT)


def check_amanda_config_name(name: str) -> None:
    """Raise ValueError unless `name` may be an Amanda configuration's; as above."""
    _check_name("a configuration's name", name, LONGEST_AMANDA_CONFIG)


def _check_name(what: str, name: str, longest: int) -> None:
    if not 1 <= len(name) <= longest:
        raise ValueError(f"{what} has from 1 to {longest} characters")
    if name[0] not in _FIRST:
        raise ValueError(f"{what} begins with one of A-Z a-z 0-9 _")
    if not _FURTHER.issuperset(name):
        raise ValueError(f"{what} has only A-Z a-z 0-9 _ . -")
    if ".." in name:
        raise ValueError(f"{what} has no two dots in a row")


def decide_verb(original: str | None) -> Verb | Attach | Denied:
    """Return what SSH_ORIGINAL_COMMAND may have; it is None where sshd set none."""
    if original == ALLOWED:
        return Verb.TALK
    if original == RESTORE:
        return Verb.RESTORE
    token = (original or "")[len(ATTACH) :]
    if original == ATTACH + token and len(token) == TOKEN_DIGITS and _HEX.issuperset(token):
        return Attach(token)
    hint = "it is for the agent: run `asyncamanda run` on the client"
    if not original:
        return Denied("this key opens no shell", hint)
    dots = "..." if len(original) > SHOWN else ""
    return Denied(f"this key may not run {original[:SHOWN]!a}{dots}", hint)
