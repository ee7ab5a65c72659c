"""Patterns for names and paths."""

import pytest

from asyncamanda.core.restore.glob import compile_name, compile_path


@pytest.mark.parametrize(
    ("pattern", "fits", "not_"),
    [
        (b"a", b"a", b"A b aa"),
        (b"*", b"a .b ab.c", b""),
        (b"*.txt", b".txt a.txt a.b.txt", b"txt a.txt~ a.TXT"),
        (b"a*b*c", b"abc aXbYc aabbcc abcbc", b"ab acb abcd"),
        (b"*a*", b"a bab", b"b"),
        (b"a**b", b"ab axb", b"a"),
        (b"?", b"a \xff", b"ab"),
        (b"a?c", b"abc", b"ac abbc"),
        (b"[a-c]x", b"ax bx cx", b"dx -x"),
        (b"[!a-c]x", b"dx -x", b"ax"),
        (b"[]x]", b"] x", b"[ a"),
        (b"[!]x]", b"a", b"] x"),
        (b"[a-]", b"a -", b"b"),
        (b"[z-a]", b"", b"a z -"),
        (b"[a", b"[a", b"a"),
        (b"[^a]", b"^ a", b"b"),
        (b"(a|b)+\\d.$", b"(a|b)+\\d.$", b"a1"),
        (b"\xc3\xa9*", b"\xc3\xa9t\xc3\xa9", b"e"),
    ],
)
def test_a_pattern_matches_as_in_the_shell(pattern: bytes, fits: bytes, not_: bytes) -> None:
    """A name as a record between others, a path as a whole."""
    in_list = b"\0" + b"".join(b"Y" + name + b"\0" for name in (fits + b" " + not_).split())
    assert [found[2] for found in compile_name(pattern).finditer(in_list)] == fits.split()
    path = compile_path(pattern)
    assert all(path.match(name) for name in fits.split())
    assert not any(path.match(name) for name in not_.split())


def test_in_paths_a_star_matches_a_slash() -> None:
    """As find's -path has it."""
    assert compile_path(b"a/*/f").match(b"a/b/c/f")
    assert compile_path(b"*/f").match(b"a/b\n/f")
    assert not compile_path(b"a/*/f").match(b"a/f")
    assert not compile_path(b"a/f").match(b"a/f\n")


def test_a_name_does_not_reach_into_the_next_record() -> None:
    """However many of them a star might span."""
    records = b"\0Ya\0Nb\0Dab\0"
    assert [found.groups() for found in compile_name(b"a*b").finditer(records)] == [(b"D", b"ab")]
    assert [found[1] for found in compile_name(b"*").finditer(records)] == [b"Y", b"N", b"D"]


def test_many_stars_take_no_endless_time() -> None:
    """A pattern is a client's, who may want the server to be busy."""
    name = b"a" * 255
    assert not compile_path(b"*a" * 100 + b"b").match(name)
    assert [*compile_name(b"*a" * 100 + b"b").finditer(b"\0Y" + name + b"\0")] == []
    with pytest.raises(ValueError, match="too long"):
        compile_path(b"*" * 4097)
