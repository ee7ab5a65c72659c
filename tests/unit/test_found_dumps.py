"""What `amadmin find` of Amanda 3.5.1 prints, as it prints it."""

from asyncamanda.core.amanda.found_dumps import FoundPart, parse_found

RUN = "20261128162409"
PRINTED = r"""
date                host   disk           lv storage pool    tape or file                                        file  part status
2026-11-28 16:24:09 laptop "/srv/a \"b\""  0 daily   daily   DAILY-001                                              1   1/2 OK 
2026-11-28 16:24:09 laptop "/srv/a \"b\""  0 daily   daily   DAILY-002                                              7   2/2 OK 
2026-11-29 16:24:09 laptop "/srv/a \"b\""  1 HOLDING HOLDING /srv/amanda/holding/20261129162409/laptop._srv_a_b.1    0 -1/-1 OK 
2026-11-30 16:24:09 laptop "/srv/a \"b\""  1 daily   daily   "TAPE 3"                                               1   1/1 OK PARTIAL 
2026-11-30 16:24:09 laptop "/srv/a \"b\""  1 daily   daily   DAILY-004                                              1  1/-1 PARTIAL 
"""  # noqa: E501, W291


def test_parts_of_whole_dumps_are_found() -> None:
    """What is held has none; what was cut off is passed over."""
    disk = '/srv/a "b"'
    assert list(parse_found(PRINTED)) == [
        FoundPart(RUN, "laptop", disk, 0, "daily", "DAILY-001", 1, 1, 2),
        FoundPart(RUN, "laptop", disk, 0, "daily", "DAILY-002", 7, 2, 2),
    ]


def test_nothing_found_is_nothing() -> None:
    """As for a disk that nobody has dumped."""
    assert list(parse_found("\nNo dump to list\n")) == []
