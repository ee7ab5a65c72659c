"""What a key may do: the one thing, and the cheats that people would try."""

from types import ModuleType

import pytest

from asyncamanda.core.protocol import authority
from asyncamanda.core.protocol.authority import (
    ALLOWED,
    LONGEST_AMANDA_CONFIG,
    LONGEST_CLIENT,
    RESTORE,
    TOKEN_DIGITS,
    Attach,
    Denied,
    Identity,
    Verb,
    check_amanda_config_name,
    check_client_name,
    decide_verb,
    find_lost,
    may_restore,
    parse_identity,
)

TOKEN = "0123456789abcdef" * 2
HINT = "it is for the agent: run `asyncamanda run` on the client"

CHEATS = [
    # another identity, and other options
    "asyncamanda gate --client other",
    "asyncamanda gate --client other --amanda-config daily",
    "asyncamanda gate --config /tmp/mine.toml",
    "asyncamanda gate --help",
    "asyncamanda gate other",
    "asyncamanda gate --",
    "--client other asyncamanda gate",
    # another command of asyncamanda's, or of later protocols
    "asyncamanda",
    "gate",
    "asyncamanda gates",
    "asyncamanda server enroll other",
    "asyncamanda gate 2",
    "attach 7",
    "asyncamanda gate attach 7",
    # a token that is none, and what could come after or before it
    "asyncamanda gate attach",
    "asyncamanda gate attach ",
    f"asyncamanda gate attach {TOKEN[:-1]}",
    f"asyncamanda gate attach {TOKEN}0",
    f"asyncamanda gate attach {TOKEN * 1000}",
    f"asyncamanda gate attach {TOKEN.upper()}",
    f"asyncamanda gate attach {TOKEN[:-1]}g",
    f"asyncamanda gate attach {TOKEN[:-1]}-",
    f"asyncamanda gate attach -{TOKEN[:-1]}",
    f"asyncamanda gate attach {TOKEN[:-1]} ",
    f"asyncamanda gate attach {TOKEN}\n",
    f"asyncamanda gate attach {TOKEN[:-1]}\n",
    f"asyncamanda gate attach {TOKEN} ",
    f"asyncamanda gate attach  {TOKEN}",
    f"asyncamanda gate attach\t{TOKEN}",
    f" asyncamanda gate attach {TOKEN}",
    f"asyncamanda gate attach {TOKEN} {TOKEN}",
    f"asyncamanda gate attach {TOKEN} --client other",
    f"asyncamanda gate attach {TOKEN}\0",
    f"asyncamanda gate attach {TOKEN[:-1]}\0",
    f"asyncamanda gate attach '{TOKEN}'",
    f"asyncamanda gate attach {TOKEN};id",
    f"asyncamanda gate attach 0x{TOKEN[2:]}",
    f"asyncamanda gate attach {TOKEN[:-1]}\u0663",
    f"asyncamanda gate attach {TOKEN[:-1]}\uff11",
    f"asyncamanda gate attach {TOKEN[:-1]}\u0430",
    f"asyncamanda gate attach {TOKEN[:-1]}\udcff",
    f"asyncamanda gate Attach {TOKEN}",
    f"asyncamanda gate attached {TOKEN}",
    f"asyncamanda gate {TOKEN}",
    f"attach {TOKEN}",
    TOKEN,
    # a wish to restore with more to it, or less
    "asyncamanda gate restore x",
    "asyncamanda gate restore --client other",
    "asyncamanda gate restore --config /tmp/mine.toml",
    "asyncamanda gate restore /etc/shadow",
    "asyncamanda gate restore ",
    " asyncamanda gate restore",
    "asyncamanda gate  restore",
    "asyncamanda gate\trestore",
    "asyncamanda gate restore\n",
    "asyncamanda gate restore\r\n",
    "asyncamanda gate restore\nasyncamanda gate restore",
    "asyncamanda gate restore\0",
    "asyncamanda gate restore\0x",
    "asyncamanda gate restore;id",
    "asyncamanda gate restore;",
    "asyncamanda gate 'restore'",
    "asyncamanda gate Restore",
    "asyncamanda gate RESTORE",
    "asyncamanda gate restores",
    "asyncamanda gate restor",
    "asyncamanda gate-restore",
    "asyncamanda gate --restore",
    "asyncamanda gate restor\u0435",
    "asyncamanda gate restore\u200b",
    "asyncamanda gate\u00a0restore",
    "asyncamanda gate restore\udcff",
    f"asyncamanda gate restore {TOKEN}",
    "asyncamanda restore",
    "asyncamanda server restore other /",
    "asyncamanda server serve other daily",
    "restore",
    # what a shell would make of it
    "asyncamanda gate; id",
    "asyncamanda gate;id",
    "asyncamanda gate && id",
    "asyncamanda gate | sh",
    "asyncamanda gate &",
    "asyncamanda gate > /tmp/x",
    "asyncamanda gate $(id)",
    "asyncamanda gate `id`",
    "asyncamanda gate #",
    "'asyncamanda' 'gate'",
    '"asyncamanda gate"',
    "asyncamanda\\ gate",
    "asyncamanda ${x}gate",
    "asyncamanda gat?",
    "exec asyncamanda gate",
    "A=1 asyncamanda gate",
    "sh -c 'asyncamanda gate'",
    "/usr/bin/asyncamanda gate",
    "./asyncamanda gate",
    # blanks, lines and bytes
    " asyncamanda gate",
    "asyncamanda gate ",
    "asyncamanda  gate",
    "asyncamanda\tgate",
    "asyncamanda gate\n",
    "asyncamanda gate\r\n",
    "asyncamanda gate\nid",
    "id\nasyncamanda gate",
    "asyncamanda gate\0",
    "asyncamanda gate\0id",
    "\0",
    " ",
    "\n",
    "asyncamanda gate\udcff",
    "\udcff\udcfe",
    "asyncamanda gate" * 10_000,
    # look-alikes: no-break space, Cyrillic a, full width, other case, zero width, combining
    "asyncamanda\u00a0gate",
    "\u0430syncamanda gate",
    "\uff41syncamanda gate",
    "ASYNCAMANDA GATE",
    "Asyncamanda gate",
    "asyncamanda gate\u200b",
    "asyncamanda gate\u0301",
    "\ufeffasyncamanda gate",
    # what other programs ask a server for
    "id",
    "-",
    "scp -f /etc/shadow",
    "scp -t /var/backups/.ssh/authorized_keys",
    "internal-sftp",
    "/usr/lib/openssh/sftp-server",
    "rsync --server --sender -logDtpre.iLsfxC . /etc/amanda",
    "/usr/sbin/amdump daily",
    "/usr/lib/amanda/amandad -auth=ssh",
    "git-upload-pack 'x'",
]


def test_the_one_command_is_talk() -> None:
    """Exactly as the agent sends it."""
    assert decide_verb(ALLOWED) is Verb.TALK
    assert ALLOWED == "asyncamanda gate"


def test_files_come_back_by_a_command_of_their_own() -> None:
    """Exactly as a client's `asyncamanda list` and `restore` send it."""
    assert decide_verb(RESTORE) is Verb.RESTORE
    assert RESTORE == "asyncamanda gate restore"


@pytest.mark.parametrize("token", [TOKEN, "0" * 32, "f" * 32])
def test_a_stream_is_joined_by_its_token(token: str) -> None:
    """As the agent sends it; the verdict is the token, and no wish to talk."""
    verdict = decide_verb(f"asyncamanda gate attach {token}")
    assert isinstance(verdict, Attach)
    assert verdict == token
    assert len(token) == TOKEN_DIGITS


@pytest.mark.parametrize("original", CHEATS)
def test_all_else_is_denied(original: str) -> None:
    """However near it comes; and the answer is short, and safe to print and to log."""
    verdict = decide_verb(original)
    assert isinstance(verdict, Denied)
    assert verdict.message.startswith("this key may not run ")
    assert verdict.message.isascii()
    assert verdict.message.isprintable()
    assert len(verdict.message) < 700
    assert verdict.hint == HINT


@pytest.mark.parametrize("original", [None, ""])
def test_there_is_no_shell(original: str | None) -> None:
    """Who asks for no command wants one: sshd sets no SSH_ORIGINAL_COMMAND then."""
    assert decide_verb(original) == Denied("this key opens no shell", HINT)


def test_a_denial_quotes_what_was_asked_for() -> None:
    """Its beginning, so that whoever mistyped it sees it."""
    for asked, quoted in [
        ("scp -f x", "'scp -f x'"),
        ("\x1b[2J\n", r"'\x1b[2J\n'"),
        ("x" * 61, f"'{'x' * 60}'..."),
        ("x" * 60, f"'{'x' * 60}'"),
    ]:
        verdict = decide_verb(asked)
        assert isinstance(verdict, Denied)
        assert verdict.message == f"this key may not run {quoted}"


@pytest.mark.parametrize(
    "argv",
    [
        ["--client", "laptop", "--amanda-config", "daily"],
        ["--amanda-config", "daily", "--client", "laptop"],
    ],
)
def test_the_arguments_of_the_forced_command_are_the_identity(argv: list[str]) -> None:
    """In either order, and whatever else the registry says of the client."""
    for flags in (["--direct"], ["--no-restore"], ["--direct", "--no-restore"]):
        assert parse_identity([*argv, *flags]) == Identity("laptop", "daily")
    identity = parse_identity(argv)
    assert identity == Identity("laptop", "daily")
    assert (identity.client, identity.amanda_config) == ("laptop", "daily")
    assert repr(identity) == "Identity(client='laptop', amanda_config='daily')"


@pytest.mark.parametrize(
    "argv",
    [
        [],
        ["--client", "laptop"],
        ["--client", "laptop", "--amanda-config"],
        ["--client", "laptop", "--client", "other"],
        ["--client", "laptop", "--amanda-config", "daily", "--client", "other"],
        ["--client", "laptop", "--amanda-config", "daily", "--verbose"],
        ["--client", "laptop", "--amanda-config", "daily", "x"],
        ["--direct"],
        ["--direct", "--client", "laptop", "--amanda-config", "daily"],
        ["--client", "laptop", "--direct", "--amanda-config", "daily"],
        ["--client", "laptop", "--amanda-config", "daily", "--direct", "--direct"],
        ["--client", "laptop", "--amanda-config", "daily", "--direct", "x"],
        ["--client", "laptop", "--amanda-config", "daily", "--direct=yes"],
        ["--client", "laptop", "--amanda-config", "daily", "--no-restore", "--direct"],
        ["--client", "laptop", "--amanda-config", "daily", "--no-restore", "--no-restore"],
        ["--client", "laptop", "--amanda-config", "daily", "--no-restore=no"],
        ["--client", "laptop", "--amanda-config", "daily", "--restore"],
        ["--no-restore", "--client", "laptop", "--amanda-config", "daily"],
        ["--client", "laptop", "--amanda-config", "--no-restore"],
        ["--client", "laptop", "--amanda-config", "--direct"],
        ["--client=laptop", "--amanda-config=daily"],
        ["--client=laptop", "--client", "--amanda-config", "daily"],
        ["--cl", "laptop", "--am", "daily"],
        ["-c", "laptop", "-a", "daily"],
        ["laptop", "--client", "daily", "--amanda-config"],
        ["--amanda-config", "--client", "laptop", "daily"],
    ],
)
def test_other_arguments_are_no_identity(argv: list[str]) -> None:
    """One missing, one twice, one more, or one abbreviated."""
    with pytest.raises(ValueError, match="the arguments are not"):
        parse_identity(argv)


def test_a_key_that_is_lost_has_a_stamp_behind_all_else() -> None:
    """Which is read as it stands; anything else there is no argument of the gate's."""
    argv = ["--client", "laptop", "--amanda-config", "daily"]
    for flags in ([], ["--direct"], ["--direct", "--no-restore"]):
        lost = [*argv, *flags, "--lost=20261130T195512Z"]
        assert parse_identity(lost) == Identity("laptop", "daily")
        assert find_lost(lost) == "20261130T195512Z"
        assert find_lost([*argv, *flags]) == ""
    assert not may_restore([*argv, "--no-restore", "--lost=20261130T195512Z"])
    for wrong in (
        ["--lost"],
        ["--lost="],
        ["--lost=20261130"],
        ["--lost=20261130T195512Z\n"],
        ["--lost=\u0662\u0660261130T195512Z"],
        ["--lost=20261130T195512Z", "--direct"],
        ["--lost=20261130T195512Z", "--lost=20261130T195512Z"],
    ):
        with pytest.raises(ValueError, match="the arguments are not"):
            parse_identity([*argv, *wrong])


def test_a_client_may_restore_unless_its_line_says_that_it_may_not() -> None:
    """By the flag alone; the other one says nothing of it."""
    argv = ["--client", "laptop", "--amanda-config", "daily"]
    assert may_restore(argv)
    assert may_restore([*argv, "--direct"])
    assert not may_restore([*argv, "--no-restore"])
    assert not may_restore([*argv, "--direct", "--no-restore"])


@pytest.mark.parametrize(
    "argv",
    [
        ["--client", "../x", "--amanda-config", "daily"],
        ["--client", "laptop", "--amanda-config", "../x"],
        ["--client", "--amanda-config", "--amanda-config", "daily"],
    ],
)
def test_an_identity_has_names_that_are_fit(argv: list[str]) -> None:
    """Each of the two is checked."""
    with pytest.raises(ValueError, match="name begins with one of"):
        parse_identity(argv)


@pytest.mark.parametrize(
    "name", ["a", "_", "7", "laptop", "Ana-2.example.org", "a-", "a.", "x" * 64, "under_score"]
)
def test_host_names_and_the_like_are_fit(name: str) -> None:
    """For a client as for a configuration."""
    check_client_name(name)
    check_amanda_config_name(name)


NAMES_UNFIT = [
    ("-x", "begins with"),
    ("--help", "begins with"),
    (".", "begins with"),
    ("..", "begins with"),
    (".ssh", "begins with"),
    ("/etc", "begins with"),
    ("*", "begins with"),
    ("^laptop$", "begins with"),
    (" a", "begins with"),
    ("\0", "begins with"),
    ("é", "begins with"),
    ("٣", "begins with"),
    ("\u0430", "begins with"),
    ("a/b", "has only"),
    ("a b", "has only"),
    ("a\n", "has only"),
    ("a\0", "has only"),
    ("a*", "has only"),
    ("a$b", "has only"),
    ("a;b", "has only"),
    ('a"b', "has only"),
    ("a:b", "has only"),
    ("a@b", "has only"),
    ("a\\b", "has only"),
    ("aé", "has only"),
    ("a\udce9", "has only"),
    ("a..b", "no two dots"),
    ("a..", "no two dots"),
]


@pytest.mark.parametrize(("name", "fault"), NAMES_UNFIT)
def test_names_that_could_be_more_than_names_are_refused(name: str, fault: str) -> None:
    """An option, a pattern, a path, a line of its own: for a client as for a configuration."""
    with pytest.raises(ValueError, match=f"^a client's name .*{fault}"):
        check_client_name(name)
    with pytest.raises(ValueError, match=f"^a configuration's name .*{fault}"):
        check_amanda_config_name(name)


def test_names_have_bounds() -> None:
    """A host's as in the DNS; neither may be empty."""
    check_client_name("x" * LONGEST_CLIENT)
    check_amanda_config_name("x" * LONGEST_AMANDA_CONFIG)
    for name in ("", "x" * (LONGEST_CLIENT + 1)):
        with pytest.raises(ValueError, match="from 1 to 253 characters"):
            check_client_name(name)
    for name in ("", "x" * (LONGEST_AMANDA_CONFIG + 1)):
        with pytest.raises(ValueError, match="from 1 to 64 characters"):
            check_amanda_config_name(name)


def test_it_imports_nothing() -> None:
    """Hundreds of gate processes would pay for it."""
    of_its_own = {"builtins", authority.__name__}
    for name, value in vars(authority).items():
        if not name.startswith("__"):
            assert not isinstance(value, ModuleType), name
            assert getattr(value, "__module__", type(value).__module__) in of_its_own, name
