"""authorized_keys as the registry: which lines are ours, and what happens to the others."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from asyncamanda.core.ssh.publickey import PublicKey
from asyncamanda.errors import RefusedError
from asyncamanda.server.enrol.enrolled import (
    Enrolled,
    parse_line,
    parse_registry,
    plan_enroll,
    plan_found,
    plan_lost,
    plan_rekey,
    plan_rename,
    plan_revoke,
    render_line,
)
from asyncamanda.server.enrol.recognition import KnownKey, OtherKey, find_before, recognise
from asyncamanda.server.enrol.registry import relayed_clients

LAPTOP = Enrolled("laptop", "daily", PublicKey("ssh-ed25519", "AAAAlaptop", "ana@laptop"))
DIRECT = replace(LAPTOP, is_direct=True)
CLOSED = replace(LAPTOP, may_restore=False)
BOTH = replace(DIRECT, may_restore=False)
TABLET = Enrolled("tablet", "daily", PublicKey("ssh-ed25519", "AAAAtablet", "tablet"))
NEW_KEY = PublicKey("ssh-ed25519", "AAAAnew", "new key")
GATE = 'command="asyncamanda gate --client laptop --amanda-config daily"'
KEY_WORDS = "ssh-ed25519 AAAAlaptop ana@laptop"
LINE = f"restrict,{GATE} {KEY_WORDS}\n"


def test_the_line_binds_the_key_to_the_gate() -> None:
    """Restricted, one command, the client's name in it; and it is read as it was written."""
    assert render_line(LAPTOP) == LINE
    assert parse_line(LINE) == LAPTOP


def test_a_client_that_amanda_reaches_by_itself_is_marked() -> None:
    """In its command; and the mark is read back, whatever stands around it."""
    line = LINE.replace(' daily"', ' daily --direct"')
    assert render_line(DIRECT) == line
    assert parse_line(line) == DIRECT
    assert parse_line(f"no-pty,{line}") == DIRECT
    assert parse_line(line.replace("--direct", "--directly")) is None
    assert plan_revoke(line, "laptop") == ""


def test_the_mark_changes_without_another_key() -> None:
    """Enrolled again, in either way, the client's line is replaced, and no other."""
    top = f"# top\n{render_line(TABLET)}"
    relayed, direct = top + LINE, top + render_line(DIRECT)
    assert plan_enroll(relayed, DIRECT) == direct
    assert plan_enroll(direct, LAPTOP) == relayed
    assert plan_enroll(direct, DIRECT) == direct
    assert plan_enroll(top + LINE + render_line(DIRECT), LAPTOP) == relayed
    other = replace(DIRECT, key=PublicKey("ssh-ed25519", "AAAAnew"))
    with pytest.raises(RefusedError):
        plan_enroll(relayed, other)


def test_a_client_that_may_not_restore_is_marked() -> None:
    """By a mark of its own beside the other, which is read back wherever the line has options."""
    for entry, flags in [(CLOSED, " --no-restore"), (BOTH, " --direct --no-restore")]:
        line = LINE.replace(' daily"', f' daily{flags}"')
        assert render_line(entry) == line
        assert parse_line(line) == entry
        assert parse_line(f"no-pty,{line}") == entry
        assert entry.restore == "none"
        assert parse_line(line.replace("--no-restore", "--no-restores")) is None
    assert LAPTOP.restore == "own"


LOST_AT = datetime(2026, 11, 30, 19, 55, 12, tzinfo=UTC)
LOST = replace(BOTH, lost_at=LOST_AT)


def test_a_lost_client_is_marked_since_when_and_unmarked() -> None:
    """In each of its lines and no other; what an administrator added stays, and the first time."""
    line = LINE.replace(' daily"', ' daily --direct --no-restore --lost=20261130T195512Z"')
    assert render_line(LOST) == line
    assert parse_line(line) == LOST
    text = f"# top\nno-pty,{render_line(BOTH)}{render_line(TABLET)}{LINE.replace('AAAA', 'AAAB')}"
    lost = plan_lost(text, "laptop", LOST_AT)
    assert [one.lost_at for one in parse_registry(lost)] == [LOST_AT, None, LOST_AT]
    assert lost.startswith(f"# top\nno-pty,{line}{render_line(TABLET)}")
    assert plan_lost(lost, "laptop", LOST_AT + timedelta(days=1)) == lost
    assert plan_found(lost, "laptop") == text
    assert plan_found(text, "laptop") == text
    assert plan_lost(text, "nobody", LOST_AT) == text
    assert plan_rename(lost, "laptop", "larch").count("--client larch") == 2


def test_a_stamp_that_is_no_date_is_lost_all_the_same() -> None:
    """Somebody has typed it; the gate refuses the key as well."""
    entry = parse_line(LINE.replace(' daily"', ' daily --lost=20269999T999999Z"'))
    assert entry is not None
    assert entry.lost_at is not None
    assert parse_line(LINE.replace(' daily"', ' daily --lost=soon"')) is None


def test_a_lost_key_is_let_in_by_nothing_but_found() -> None:
    """Another key replaces it as any, and is not lost."""
    lost = render_line(LOST)
    for entry in (BOTH, LAPTOP, LOST):
        with pytest.raises(RefusedError) as error:
            plan_enroll(lost, entry, is_replacing=True)
        assert error.value.reference == "lost"
        assert "asyncamanda server found laptop" in error.value.hint
    new = replace(LOST, key=NEW_KEY)
    with pytest.raises(RefusedError):
        plan_enroll(lost, new)
    replaced = replace(new, lost_at=None)
    assert plan_enroll(lost, new, is_replacing=True) == render_line(replaced)
    assert plan_rekey(lost, "laptop", NEW_KEY) == render_line(replaced)
    assert plan_rekey(lost, "laptop", LOST.key) == lost


def test_whether_it_may_restore_changes_without_another_key() -> None:
    """Either way, and whatever the other mark says."""
    states = [LAPTOP, DIRECT, CLOSED, BOTH]
    for before in states:
        for after in states:
            assert plan_enroll(f"# top\n{render_line(before)}", after) == (
                f"# top\n{render_line(after)}"
            )


def test_clients_are_relayed_that_are_not_marked() -> None:
    """Each once, in their order; one that has a line of each kind is, too."""
    weekly = replace(LAPTOP, amanda_config="weekly")
    assert relayed_clients([TABLET, DIRECT, TABLET]) == ("tablet",)
    assert relayed_clients([LAPTOP, TABLET, weekly]) == ("laptop", "tablet")
    assert relayed_clients([DIRECT, weekly]) == ("laptop",)
    assert relayed_clients([]) == ()


def test_a_key_without_a_comment_gets_the_clients_name() -> None:
    """So that whoever reads the file knows whose it is."""
    entry = Enrolled("laptop", "daily", PublicKey("ssh-ed25519", "AAAA"))
    assert render_line(entry).endswith(" ssh-ed25519 AAAA laptop\n")


@pytest.mark.parametrize(
    "line",
    [
        f"{GATE} ssh-ed25519 AAAAlaptop ana@laptop",
        f"  restrict,{GATE} ssh-ed25519   AAAAlaptop   ana@laptop\r\n",
        f'from="10.0.0.0/8,*.example.com",{GATE},no-pty ssh-ed25519 AAAAlaptop ana@laptop',
        f'environment="A=\\",b c",{GATE} ssh-ed25519 AAAAlaptop ana@laptop',
        f"restrict,{GATE.replace('command', 'Command')} ssh-ed25519 AAAAlaptop ana@laptop",
        f"restrict,{GATE.replace('asyncamanda', '/opt/bin/asyncamanda')}\tssh-ed25519\tAAAAlaptop"
        "\tana@laptop",
        f"restrict,{GATE.replace(' ', '  ')} ssh-ed25519 AAAAlaptop ana@laptop",
        'command="asyncamanda gate --amanda-config daily --client laptop" '
        "ssh-ed25519 AAAAlaptop ana@laptop",
    ],
)
def test_a_line_that_somebody_changed_is_still_ours(line: str) -> None:
    """It accepts the client, so it is listed, and revoking the client removes it."""
    assert parse_line(line) == LAPTOP
    assert plan_revoke(line, "laptop") == ""


@pytest.mark.parametrize(
    "line",
    [
        "",
        "\n",
        f"# {LINE}",
        f"#{LINE}",
        "ssh-ed25519 AAAA ana@laptop",
        f'command="sh" ssh-ed25519 AAAA {GATE}',
        f'environment="A={GATE.replace(chr(34), chr(92) + chr(34))}",command="sh" ssh-ed25519 AAAA',
        f'{GATE},command="sh" ssh-ed25519 AAAA',
        f"{GATE}",
        f"{GATE} ssh-ed25519",
        'command="asyncamanda gate --client laptop --amanda-config daily ssh-ed25519 AAAA',
        'command="asyncamanda gate" ssh-ed25519 AAAA',
        'command="asyncamanda gate --client ../x --amanda-config daily" ssh-ed25519 AAAA',
        'command="asyncamanda gate --client laptop --amanda-config daily; sh" ssh-ed25519 AAAA',
        'command="asyncamanda run --client laptop --amanda-config daily" ssh-ed25519 AAAA',
        'command="notasyncamanda gate --client laptop --amanda-config daily" ssh-ed25519 AAAA',
        'command="" ssh-ed25519 AAAA',
        "command ssh-ed25519 AAAA",
    ],
)
def test_every_other_line_is_foreign(line: str) -> None:
    """Comments, other commands, and what merely cites ours."""
    assert parse_line(line) is None
    assert plan_revoke(line, "laptop") == line


FOREIGN = [
    "",
    "# a comment\n\n\nssh-rsa AAAAx root@server\n",
    "ssh-rsa AAAAx root@server\r\n \r\n",
    "ssh-rsa AAAAx na\udcefve\x85 \u2028name\x0b\x0c\x1c\n",
    f"# {LINE}",
]


@pytest.mark.parametrize("before", FOREIGN)
@pytest.mark.parametrize("after", FOREIGN)
def test_foreign_lines_stay_byte_for_byte(before: str, after: str) -> None:
    """Whatever a client's coming and going does around them."""
    text = before + render_line(TABLET) + after
    enrolled = plan_enroll(text, LAPTOP)
    assert enrolled == text + LINE
    assert plan_revoke(enrolled, "laptop") == text
    assert plan_revoke(text, "tablet") == before + after
    assert parse_registry(enrolled) == (TABLET, LAPTOP)


def test_a_last_line_without_an_end_stays_a_line_of_its_own() -> None:
    """Ours does not become a part of it."""
    assert plan_enroll("ssh-rsa AAAAx root", LAPTOP) == f"ssh-rsa AAAAx root\n{LINE}"
    assert plan_revoke(f"ssh-rsa AAAAx root\n{LINE.rstrip()}", "laptop") == "ssh-rsa AAAAx root\n"


def test_whoever_is_enrolled_already_changes_nothing() -> None:
    """Nor does another comment, or an option that somebody added."""
    same = Enrolled("laptop", "daily", PublicKey("ssh-ed25519", "AAAAlaptop", "new comment"))
    for text in (LINE, f"no-pty,{LINE}", LINE + LINE):
        assert plan_enroll(text, same) == text


NEW = replace(LAPTOP, key=PublicKey("ssh-ed25519", "AAAAnew"))
WEEKLY = replace(LAPTOP, amanda_config="weekly")


@pytest.mark.parametrize(
    ("entry", "words", "said", "hint"),
    [
        (NEW, [], "laptop is enrolled already, with another key (ssh-ed25519", "--replace"),
        (NEW, ["is_moving"], "laptop is enrolled already, with another key", "--replace"),
        (WEEKLY, [], "laptop is enrolled already, for daily", "--move"),
        (WEEKLY, ["is_replacing"], "laptop is enrolled already, for daily", "--move"),
        (replace(NEW, amanda_config="weekly"), ["is_replacing"], "for daily", "--move"),
        (replace(NEW, amanda_config="weekly"), ["is_moving"], "another key", "--replace"),
    ],
)
def test_a_client_has_one_key_and_one_amanda_config(
    entry: Enrolled, words: list[str], said: str, hint: str
) -> None:
    """Each has a word of its own that lets another take its place, and no other does."""
    text = f"# top\n{LINE}{LINE}{render_line(TABLET)}"
    with pytest.raises(RefusedError) as error:
        plan_enroll(text, entry, **dict.fromkeys(words, True))
    assert said in error.value.message
    assert hint in error.value.hint
    replaced = plan_enroll(text, entry, is_replacing=True, is_moving=True)
    assert replaced == f"# top\n{render_line(entry)}{render_line(TABLET)}"


def test_what_an_administrator_added_to_the_line_stays() -> None:
    """Options and a program's path, whatever else is changed in it."""
    own = f'from="10.*, x y",{LINE}'.replace("asyncamanda gate", "/opt/bin/asyncamanda gate")
    replaced = plan_enroll(own, NEW, is_replacing=True)
    assert replaced == own.replace(KEY_WORDS, "ssh-ed25519 AAAAnew laptop")
    moved = plan_enroll(own, replace(BOTH, amanda_config="weekly"), is_moving=True)
    assert moved == own.replace(' daily"', ' weekly --direct --no-restore"')


def test_who_is_to_be_enrolled_is_recognised() -> None:
    """By the key under another name, by the name with another key, and else not at all."""
    known = [LAPTOP, TABLET]
    assert recognise(known, LAPTOP) is None
    assert recognise(known, replace(LAPTOP, client="larch", key=NEW.key)) is None
    assert recognise(known, DIRECT) is None
    assert recognise(known, NEW) == OtherKey(LAPTOP)
    assert recognise(known, replace(LAPTOP, client="larch")) == KnownKey(LAPTOP, is_free=True)
    assert recognise(known, replace(LAPTOP, client="Laptop")) == KnownKey(LAPTOP, is_free=True)
    for name in ("tablet", "Tablet"):  # which has a key of its own
        others = [replace(TABLET, client=other) for other in ("tablet", "Tablet")]
        for other in others:
            found = recognise([LAPTOP, other], replace(LAPTOP, client=name))
            assert found == KnownKey(LAPTOP, is_free=False)
    assert recognise([LAPTOP, NEW], LAPTOP) == OtherKey(NEW)  # the second one that somebody added


def test_what_is_not_said_stays_as_it_is() -> None:
    """That of the name, and where nobody has it that of the key."""
    assert find_before([BOTH, TABLET], "laptop", "AAAAtablet") == BOTH
    assert find_before([BOTH, TABLET], "laptop", None) == BOTH
    assert find_before([BOTH, TABLET], "larch", "AAAAlaptop") == BOTH
    assert find_before([BOTH, TABLET], "larch", "AAAAnew") is None
    assert find_before([BOTH, TABLET], "larch", None) is None


def test_a_second_key_that_somebody_added_is_not_overlooked() -> None:
    """A client that comes in with two keys is not enrolled with this one alone."""
    text = LINE + LINE.replace("AAAAlaptop", "AAAAold")
    with pytest.raises(RefusedError):
        plan_enroll(text, LAPTOP)
    assert plan_enroll(text, LAPTOP, is_replacing=True) == LINE


@pytest.mark.parametrize(
    ("text", "whose"),
    [
        (LINE, "laptop's"),
        ("# top\nssh-ed25519 AAAAlaptop root\n", "in line 2 of authorized_keys"),
        ("ssh-ed25519\tAAAAlaptop", "in line 1 of authorized_keys"),
        ("ssh-ed25519 AAAAlaptop\r\n", "in line 1 of authorized_keys"),
        ("ssh-ed25519 AAAA\flaptop root\n", "in line 1 of authorized_keys"),
        ('command="sh",from="a b" ssh-ed25519 AAAAlaptop x\n', "in line 1 of authorized_keys"),
        ("cert-authority ssh-ed25519 AAAAlaptop x\n", "in line 1 of authorized_keys"),
    ],
)
@pytest.mark.parametrize("is_replacing", [False, True])
def test_a_key_of_anybody_elses_is_refused(text: str, whose: str, is_replacing: bool) -> None:
    """sshd takes the first line with a key, and the client would be somebody else."""
    entry = Enrolled("tablet", "daily", LAPTOP.key)
    with pytest.raises(RefusedError) as error:
        plan_enroll(text, entry, is_replacing=is_replacing)
    assert error.value.reference == "key-in-use"
    assert f"this key is {whose} already" in error.value.message


def test_a_key_in_a_comment_is_nobodys() -> None:
    """A line that was switched off lets nobody in."""
    text = f"  # {LINE}"
    assert plan_enroll(text, LAPTOP) == text + LINE


def test_revoking_removes_every_line_of_one_client() -> None:
    """And of no other whose name is like it."""
    other = Enrolled("laptop2", "daily", PublicKey("ssh-ed25519", "AAAA2"))
    text = f"{LINE}{render_line(other)}# x\n{LINE.replace('daily', 'weekly')}"
    assert plan_revoke(text, "laptop") == f"{render_line(other)}# x\n"
    assert plan_revoke(text, "nobody") == text


def test_another_key_leaves_the_options_as_they_are() -> None:
    """Those of an administrator, too; all other lines stay, and of several keys one is left."""
    others = f"# top\n{render_line(TABLET)}ssh-rsa AAAAmine me\n"
    own = f'from="10.*, x y",{LINE}'
    wanted = own.replace("AAAAlaptop ana@laptop", "AAAAnew new key")
    assert plan_rekey(own + others, "laptop", NEW_KEY) == wanted + others
    assert plan_rekey(own + others + LINE, "laptop", NEW_KEY) == wanted + others
    assert plan_rekey(others, "laptop", NEW_KEY) == others
    for key in ("AAAAtablet", "AAAAmine"):
        with pytest.raises(RefusedError):
            plan_rekey(own + others, "laptop", PublicKey("ssh-rsa", key))


def test_a_client_is_renamed_in_its_own_lines() -> None:
    """However the arguments stand; a name that is enrolled is refused, in any case of letters."""
    turned = f'command="asyncamanda gate --amanda-config daily --client laptop" {KEY_WORDS}\n'
    others = f"# --client laptop \n{render_line(TABLET)}ssh-rsa AAAAmine --client laptop \n"
    renamed = plan_rename(LINE + others + turned, "laptop", "Laptop")
    assert [entry.client for entry in parse_registry(renamed)] == ["Laptop", "tablet", "Laptop"]
    assert renamed.replace("--client Laptop", "--client laptop") == LINE + others + turned
    for name in ("tablet", "Tablet"):
        with pytest.raises(RefusedError):
            plan_rename(LINE + others, "laptop", name)


def test_a_name_that_differs_in_case_alone_is_refused() -> None:
    """Amanda takes both for one host, and a disklist with both for a mistake."""
    other = replace(TABLET, client="LAPTOP")
    for is_replacing in (False, True):
        with pytest.raises(RefusedError, match="laptop is enrolled"):
            plan_enroll(LINE, other, is_replacing=is_replacing)
