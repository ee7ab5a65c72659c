"""The names of clients' pages, for all names."""

from hypothesis import given
from hypothesis import strategies as st

from asyncamanda.report.html.files import is_page_name, page_name

NAMES = st.text(st.characters(exclude_categories=()), max_size=80)


@given(one=st.tuples(NAMES, NAMES), other=st.tuples(NAMES, NAMES))
def test_two_clients_never_share_a_page(one: tuple[str, str], other: tuple[str, str]) -> None:
    """Neither by their own name nor by their configuration's."""
    assert (page_name(*one) == page_name(*other)) == (one == other)


@given(NAMES, NAMES)
def test_every_name_becomes_that_of_a_file(amanda_config: str, client: str) -> None:
    """Short enough, in ASCII, in this folder, and not hidden."""
    name = page_name(amanda_config, client)
    assert is_page_name(name)
    assert len(name.encode("ascii")) <= 200
    assert "/" not in name
    assert not name.startswith(".")
