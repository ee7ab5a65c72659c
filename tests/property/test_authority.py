"""What a key may do: whatever is asked for, and whatever the names."""

import re

from hypothesis import example, given
from hypothesis import strategies as st
from tests.property.strategies import texts

from asyncamanda.core.protocol.authority import (
    ALLOWED,
    ATTACH,
    FLAGS,
    RESTORE,
    Attach,
    Denied,
    Identity,
    Verb,
    check_amanda_config_name,
    check_client_name,
    decide_verb,
    may_restore,
    parse_identity,
)

pieces = st.sampled_from(
    [
        *" \t\n\0;|&$-'\"",
        "asyncamanda",
        "gate",
        "asyncamanda gate",
        "restore",
        RESTORE,
        "--client",
        "other",
        "\udcff",
    ]
)
near_commands = st.lists(pieces, max_size=6).map("".join)
near_tokens = st.one_of(
    st.text("0123456789abcdef", min_size=31, max_size=33),
    st.text("0123456789abcdefABG \n\0\u0663\uff11\udcff", min_size=31, max_size=33),
)
near_attaches = st.tuples(st.sampled_from(["", " "]), near_tokens, pieces | st.just("")).map(
    lambda parts: f"{parts[0]}{ATTACH}{parts[1]}{parts[2]}"
)
near_names = st.text("ab1_.-/* \n\0é\udce9", max_size=8)
options = ["--client", "--amanda-config", "daily", "--direct", "--no-restore"]
words = st.one_of(st.sampled_from(options), near_names)


@given(st.one_of(texts, near_commands, near_attaches))
@example(ALLOWED)
@example(RESTORE)
@example(RESTORE + "\n")
@example(ATTACH + "0123456789abcdef" * 2)
@example(ATTACH + "0123456789abcdef" * 2 + "\n")
def test_one_text_talks_one_restores_one_joins_by_a_token_and_others_are_denied(
    text: str,
) -> None:
    """And the answer is safe to print."""
    verdict = decide_verb(text)
    if text == ALLOWED:
        assert verdict is Verb.TALK
    elif text == RESTORE:
        assert verdict is Verb.RESTORE
    elif re.fullmatch(r"asyncamanda gate attach [0-9a-f]{32}", text):
        assert isinstance(verdict, Attach)
        assert ATTACH + verdict == text
    else:
        assert isinstance(verdict, Denied)
        assert verdict.message.isascii()
        assert verdict.message.isprintable()


@given(st.one_of(texts, near_names))
def test_a_name_is_one_path_component_and_no_option_or_refused(name: str) -> None:
    """For a client as for a configuration."""
    is_fit = re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", name) and ".." not in name
    for check in (check_client_name, check_amanda_config_name):
        try:
            check(name)
        except ValueError:
            assert not is_fit
        else:
            assert is_fit


whole = ["--client", "laptop", "--amanda-config", "daily"]
near_arguments = st.one_of(
    st.lists(words, max_size=7), st.lists(words, max_size=3).map(lambda more: whole + more)
)


@given(near_arguments)
def test_any_arguments_are_an_identity_of_fit_names_or_refused(argv: list[str]) -> None:
    """And what is one is just what they say."""
    try:
        identity = parse_identity(argv)
    except ValueError:
        return
    check_client_name(identity.client)
    check_amanda_config_name(identity.amanda_config)
    said = {argv[0]: argv[1], argv[2]: argv[3]}
    assert identity == Identity(said["--client"], said["--amanda-config"])
    assert argv[4:] == [flag for flag in FLAGS if flag in argv]
    assert may_restore(argv) == ("--no-restore" not in argv[4:])
