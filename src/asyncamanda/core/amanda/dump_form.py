"""The form of a dump: which program made it, and what its bytes went through, by its header.

    AMANDA: FILE ... lev 0 comp .gz program /bin/tar
    AMANDA: FILE ... lev 0 comp cust program APPLICATION crypt enc client_custom_compress /bin/zstd
        server_encrypt /usr/sbin/amcrypt server_decrypt_option -d

All of that may be a client's words: its programs print `info COMPRESS_SUFFIX=...` and the like, and
the dumper copies them (parse_info_line() in dumper.c). So a form is a claim, and which of the
programs that it names may run is decided by what the server knows (filters.py). Source:
build_header() in fileheader.c of Amanda 3.5.1; tests/e2e/test_dump_facts.py asks the real one.
"""

import base64
import re
from collections.abc import Collection
from dataclasses import dataclass

from asyncamanda.core.amanda.excludes import CLIENT_LIST
from asyncamanda.core.amanda.filters import (
    GZIP,
    Filters,
    FiltersRefused,
    FilterStep,
    allowed_filters,
)
from asyncamanda.core.amanda.header import DumpHeader

APPLICATION = "APPLICATION"  # the program of a dump that an application of Amanda's made
AMGTAR = "amgtar"
SEALED = "sealed: only the client's key opens it"
# a property of amgtar's, as xml_property() in diskfile.c writes it
_ACLS = re.compile(
    r"<name>acls</name>\s*(?:<priority>yes</priority>\s*)?<value>yes</value>", re.IGNORECASE
)
# what decides which files a dump has; of amgtar's properties as well, whatever Amanda's case
_EXTENT = re.compile(
    r"<(exclude|include|diskdevice)\b.*?</\1>"
    r"|<property>\s*<name[^>]*>\s*(?:ex|in)clude.*?</property>",
    re.DOTALL | re.IGNORECASE,
)
# a pattern in it, as amxml_format_tag() in amxml.c writes it
_EXCLUDED = re.compile(r'<file(?: encoding="raw" raw="([^"]*)")?>([^<]*)</file>')
_LISTED = re.compile(r'<list(?: encoding="raw" raw="([^"]*)")?>([^<]*)</list>')
_UNFILTERED = "N"
_TARS = {"tar", "gtar", "gnutar"}


@dataclass(frozen=True, slots=True)
class DumpForm:
    """What a header claims.

    `program` is that of the client, or `APPLICATION`; then `application` is which. `steps` undo
    what its bytes went through, in that order. `is_sealed`: the client has encrypted it, so that
    it alone can read it. `keeps_acls`: it was told to store access control lists. `extent` is what
    the planner said of which files were to be dumped: lists of what is excluded and included, and
    the folder; None where the header does not have its words.
    """

    program: str
    application: str = ""
    steps: tuple[FilterStep, ...] = ()
    is_sealed: bool = False
    keeps_acls: bool = False
    extent: tuple[str, ...] | None = None

    @property
    def is_tar(self) -> bool:
        """Whether the dump is an image of GNU tar's."""
        if self.program == APPLICATION:
            return self.application == AMGTAR
        return self.program.rpartition("/")[2] in _TARS

    @property
    def excludes(self) -> tuple[str, ...]:
        """The patterns of its dumptype for what it was to leave out, as far as they are known."""
        lists = [each for each in self.extent or () if each.startswith("<exclude>")]
        return tuple(_read_name(*found) for each in lists for found in _EXCLUDED.findall(each))

    @property
    def has_all_excludes(self) -> bool:
        """Whether nothing else left files out than `excludes`, and the client's own list."""
        known = ("<exclude>", "<diskdevice")
        if self.extent is None or not all(each.startswith(known) for each in self.extent):
            return False
        lists = (_read_name(*found) for each in self.extent for found in _LISTED.findall(each))
        return all(each == CLIENT_LIST for each in lists)

    @property
    def maker(self) -> str:
        """What made the dump, in a word."""
        return (self.application if self.program == APPLICATION else self.program) or "?"


def parse_form(header: DumpHeader) -> DumpForm:
    """Return what a header says of its dump's form. Never raises."""
    words = [word for word in header.claims.split(" ") if word]
    said = dict(zip(words[::2], words[1::2], strict=False))
    steps = []
    sealed_by = said.get("client_encrypt", "")
    if said.get("crypt", _UNFILTERED) != _UNFILTERED:
        program = said.get("server_encrypt", sealed_by)
        option = said.get("server_decrypt_option", said.get("client_decrypt_option", ""))
        steps.append(FilterStep(program, option))
    if said.get("comp", _UNFILTERED) != _UNFILTERED:
        custom = said.get("server_custom_compress") or said.get("client_custom_compress")
        steps.append(FilterStep(custom or GZIP))
    return DumpForm(
        said.get("program", ""),
        header.application,
        tuple(steps),
        is_sealed=bool(sealed_by),
        keeps_acls=header.application == AMGTAR and _ACLS.search(header.dle) is not None,
        extent=_find_extent(header.dle) if header.dle else None,
    )


def _read_name(raw: str, text: str) -> str:
    """Return a name as it was configured: what is not plain stands in base64 beside it."""
    try:
        return base64.b64decode(raw, validate=True).decode("utf-8", "surrogateescape") or text
    except ValueError:
        return text


def _find_extent(dle: str) -> tuple[str, ...]:
    return tuple(" ".join(found[0].split()) for found in _EXTENT.finditer(dle))


def decide_steps(
    form: DumpForm, today: Filters | None, recorded: Filters | None, allow_list: Collection[str]
) -> tuple[FilterStep, ...] | FiltersRefused:
    """Return the programs that undo what a dump's bytes went through, if they may run here.

    The other arguments are as in allowed_filters().
    """
    if form.is_sealed:
        return FiltersRefused(form.steps[0] if form.steps else FilterStep(""), SEALED)
    return allowed_filters(today, recorded, allow_list, form.steps)
