"""Amanda's quoted strings, as its own Amanda::Util writes and reads them."""

import pytest

from asyncamanda.core.amanda.quoting import quote, unquote

# what Amanda::Util::quote_string() of Amanda 3.5.1 returned for each
WRITTEN = [
    ("", '""'),
    ("/home", "/home"),
    ("a$b#*", "a$b#*"),
    ("a b", '"a b"'),
    ("a:b", '"a:b"'),
    ("a'b", '"a\'b"'),
    ("a\\", r'"a\\"'),
    ('a"b', r'"a\"b"'),
    ("a\nb\tc", r'"a\nb\tc"'),
    ("a\rb\fc", r'"a\rb\fc"'),
    ("\x7f", '"\x7f"'),
    ("\x01", '"\x01"'),
    ("\x20", '" "'),
    ("é", '"é"'),
    ("\udce9", '"\udce9"'),
    (r"C:\Users\ana", r'"C:\\Users\\ana"'),
]


@pytest.mark.parametrize(("name", "text"), WRITTEN)
def test_a_name_is_written_as_amanda_writes_it(name: str, text: str) -> None:
    """A name is bare where it can be, else quoted, with six characters escaped."""
    assert quote(name) == text


@pytest.mark.parametrize(("name", "text"), WRITTEN)
def test_what_amanda_wrote_is_read_back(name: str, text: str) -> None:
    """Reading undoes writing."""
    assert unquote(text) == name


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ('a"b"c', "abc"),
        ('"a b"c', "a bc"),
        (r"a\ b", "a b"),
        (r"\x\q", "xq"),
        ("a\\", "a"),
        ("\\", ""),
        (r'"a\101b"', "aAb"),
        (r'"a\12x"', "a\nx"),
        (r'"a\18"', "a\x018"),
        (r'"\303\251x"', "éx"),
        (r'"\351x"', "\udce9x"),
        (r'"a\0b"', "ab"),
        (r'"a\777b"', "a\udcffb"),
        (r'"a\1234"', "aS4"),
    ],
)
def test_what_amanda_would_not_write_is_read_as_amanda_reads_it(text: str, name: str) -> None:
    """Bare quotes vanish, octal escapes are bytes, other escapes stand for themselves."""
    assert unquote(text) == name
