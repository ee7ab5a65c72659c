"""The names of the page's files, and the mark by which they are known again."""

import pytest

from asyncamanda.report.html.files import (
    HEAD_BYTES,
    TAIL_BYTES,
    is_ours,
    is_page_name,
    page_name,
    page_path,
    read_digest,
    seal,
)

DIGEST = "0123456789abcdef" * 4


@pytest.mark.parametrize(
    ("client", "name"),
    [
        ("laptop", "laptop@daily.html"),
        ("laptop.example.org", "laptop.example.org@daily.html"),
        ("../../etc/passwd", "=2e.=2f..=2fetc=2fpasswd@daily.html"),
        (".hidden", "=2ehidden@daily.html"),
        ("a@b", "a=40b@daily.html"),
        ("a=40b", "a=3d40b@daily.html"),
        ("<b>&\"'", "=3cb=3e=26=22=27@daily.html"),
        ("größe", "gr=c3=b6=c3=9fe@daily.html"),
        ("\udcff", "=ed=b3=bf@daily.html"),
        ("a\nb\0", "a=0ab=00@daily.html"),
        ("", "=@daily.html"),
    ],
)
def test_a_file_has_a_plain_name_whatever_the_clients_is(client: str, name: str) -> None:
    """No path, no markup, nothing hidden; the plain ones stay readable."""
    assert page_name("daily", client) == name
    assert page_path("daily", client) == f"client/{name}"
    assert is_page_name(name)


def test_a_client_of_two_configurations_has_two_pages() -> None:
    """It is told apart, as two clients with long names alike are."""
    assert page_name("daily", "a") != page_name("weekly", "a")
    long = "x" * 400
    one, other = page_name("daily", f"{long}1"), page_name("daily", f"{long}2")
    assert one != other
    assert len(one) < 200
    assert is_page_name(one)


@pytest.mark.parametrize("name", [".x@y.html", "x.html", "x@y.html.new", "a/b@c.html", "@y.html"])
def test_other_names_are_not_a_pages(name: str) -> None:
    """So what has them is not removed."""
    assert not is_page_name(name)


def read(content: bytes) -> str:
    """Return the digest of a file by its first and last bytes, as a reader of it has them."""
    return read_digest(content[:HEAD_BYTES], content[-TAIL_BYTES:], len(content))


def test_a_page_is_known_by_its_beginning_its_length_and_its_end() -> None:
    """Whole, cut off, longer, with a hole at its end, and another's."""
    page = seal(DIGEST, "<html>" + "x" * 500)
    assert read(page) == DIGEST
    assert is_ours(page[:HEAD_BYTES])
    assert read(page[:-1]) == ""
    assert read(page[:300]) == ""
    assert read(page[:300] + page[400:]) == ""
    assert read(page + b" ") == ""
    assert read(page[:-90] + b"\0" * 90) == ""
    assert is_ours(page[:300])
    assert read(b"<!doctype html>\n<title>It works!</title>") == ""
    assert not is_ours(b"<!doctype html>\n<title>It works!</title>")


def test_an_empty_file_may_be_replaced() -> None:
    """A crash of the machine leaves one; nothing is lost in it."""
    assert is_ours(b"")
    assert read(b"") == ""


def test_a_page_begins_with_its_doctype_and_is_always_utf_8() -> None:
    """Anything before it would be another mode of the browser's."""
    page = seal(DIGEST, "a\udcff")
    assert page.startswith(b"<!doctype html>")
    assert "a\\udcff" in page.decode()
