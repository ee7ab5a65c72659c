"""The journal's own protocol, to the byte; that journald reads it so is a system test's."""

from asyncamanda.system.journal import LONGEST, encode_fields


def test_a_value_of_one_line_follows_its_name() -> None:
    """Whatever else is in it."""
    assert encode_fields({"MESSAGE": "a=b é", "PRIORITY": "6"}) == (
        "MESSAGE=a=b é\nPRIORITY=6\n".encode()
    )


def test_a_value_of_several_lines_has_its_length_before_it() -> None:
    """64 bits, the least significant byte first; so no value can add a field."""
    assert encode_fields({"MESSAGE": "a\nMESSAGE_ID=x"}) == (
        b"MESSAGE\n\x0e\0\0\0\0\0\0\0a\nMESSAGE_ID=x\n"
    )


def test_too_long_a_value_is_cut() -> None:
    """At the end of a character."""
    entry = encode_fields({"MESSAGE": "x" + "é" * LONGEST})
    assert len(entry) < LONGEST + 20
    assert entry.decode().endswith("é...\n")


def test_a_name_that_is_no_text_is_its_bytes() -> None:
    """The journal takes any."""
    assert encode_fields({"MESSAGE": "/caf\udce9"}) == b"MESSAGE=/caf\xe9\n"
