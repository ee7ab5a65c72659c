"""By which name the server knows a machine: whether that is the one it is to have, and where."""

import pytest

from asyncamanda.client.setup.naming import (
    NameWish,
    OtherNameError,
    is_same_name,
    needs_name,
    read_wish,
    write_name,
)
from asyncamanda.config.client import parse_client_config
from asyncamanda.errors import ConfigurationError


@pytest.mark.parametrize(
    ("wanted", "known", "named", "unnamed"),
    [
        ("laptop", "laptop", True, True),
        ("laptop", "laptop.example.com", False, True),
        ("laptop.example.com", "Laptop", False, True),
        ("Laptop", "laptop", False, True),
        ("laptop", "laptop2", False, False),
        ("larch", "laptop", False, False),
        ("larch.example.com", "laptop.example.com", False, False),
    ],
)
def test_a_host_has_its_name_with_and_without_its_domain(
    wanted: str, known: str, named: bool, unnamed: bool
) -> None:
    """A name that somebody chose is taken as it is."""
    assert is_same_name(wanted, known, is_named=True) is named
    assert is_same_name(wanted, known, is_named=False) is unnamed


def test_what_is_typed_is_one_of_three_words() -> None:
    """Or its beginning; nothing is none of them."""
    said = {"keep": NameWish.KEEP, "R": NameWish.RENAME, "cop": NameWish.COPY}
    assert {text: read_wish(text) for text in said} == said
    assert [read_wish(text) for text in ("", "yes", "keeper")] == [None] * 3


def test_the_error_says_what_to_do_for_each() -> None:
    """Keep the name, rename it there, or another key here."""
    hint = OtherNameError("laptop", "larch").hint
    for word in ("--name laptop;", "asyncamanda server rename laptop larch;", "--new-key"):
        assert word in hint


def test_a_name_is_written_down_where_nothing_else_tells_it() -> None:
    """Once it is there, it follows the server's."""
    assert not needs_name("laptop", None, "laptop.example.com")
    assert needs_name("laptop", None, "larch")
    assert not needs_name("laptop", "laptop", "larch")
    assert needs_name("larch", "laptop", "larch")


SERVER = 'server = "amanda"\n'


@pytest.mark.parametrize(
    "text",
    [
        SERVER,
        f"# mine\n\n{SERVER}[ssh]\n# name = 'x'\nkeepalive = '9s'\n",
        f'{SERVER}name = "old"  # as it was\n[notify]\nmail = "root"\n',
        f"name='old'\n{SERVER}",
        SERVER.strip(),
        f'exclude = [\n"name = x",\n]\n{SERVER}',
    ],
)
def test_the_name_is_written_into_a_file_of_which_all_else_stays(text: str) -> None:
    """Wherever it stands, and once only."""
    after = write_name(text, "laptop")
    assert parse_client_config(after, "x").name == "laptop"
    assert write_name(after, "laptop") == after
    kept = [line for line in text.splitlines() if not line.startswith("name")]
    assert [line for line in after.splitlines() if not line.startswith("name")] == kept


@pytest.mark.parametrize(
    "text",
    [
        f'"name" = "x"\n{SERVER}',
        f'{SERVER}name = """\nold"""\n',
        f"{SERVER}networks = ['''\nname = x\n''']\n",
        f"na me\n{SERVER}",
    ],
)
def test_a_file_that_is_written_in_another_way_is_left_alone(text: str) -> None:
    """It is told what to write there."""
    with pytest.raises(ConfigurationError):
        write_name(text, "laptop")


def test_a_name_that_no_client_can_have_is_a_mistake() -> None:
    """It is named with the others."""
    with pytest.raises(ConfigurationError, match="name: found 'a b'"):
        parse_client_config(f'{SERVER}name = "a b"\n', "x")
