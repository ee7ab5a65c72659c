"""What a dump's header claims of its form, and which programs that makes run."""

import pytest

from asyncamanda.core.amanda.dump_form import SEALED, DumpForm, decide_steps, parse_form
from asyncamanda.core.amanda.excludes import CLIENT_LIST
from asyncamanda.core.amanda.filters import GZIP, Filters, FiltersRefused, FilterStep
from asyncamanda.core.amanda.header import HEADER_BYTES, DumpHeader, FileKind, parse_header

ZSTD = "/usr/bin/zstd"
CRYPT = "/usr/sbin/amcrypt"
TAR = "comp N program /bin/tar"


def form_of(claims: str, application: str = "") -> DumpForm:
    """Return the form that such a header claims."""
    named = (FileKind.WHOLE, "20261128162409", "laptop", "/home", 0)
    return parse_form(DumpHeader(*named, claims=claims, application=application))


@pytest.mark.parametrize(
    ("claims", "application", "is_tar", "maker"),
    [
        (TAR, "", True, "/bin/tar"),
        ("comp N program /usr/local/bin/gtar", "", True, "/usr/local/bin/gtar"),
        ("comp N program APPLICATION", "amgtar", True, "amgtar"),
        ("comp N program APPLICATION", "ampgsql", False, "ampgsql"),
        ("comp N program APPLICATION", "", False, "?"),
        ("comp N program /sbin/dump", "", False, "/sbin/dump"),
        ("comp N program /sbin/dump", "amgtar", False, "/sbin/dump"),
        ("comp N", "", False, "?"),
        ("", "", False, "?"),
    ],
)
def test_what_made_the_dump(claims: str, application: str, is_tar: bool, maker: str) -> None:
    """GNU tar, by either of Amanda's ways to it, or something else."""
    form = form_of(claims, application)
    assert (form.is_tar, form.maker) == (is_tar, maker)


@pytest.mark.parametrize(
    ("claims", "steps"),
    [
        (TAR, []),
        ("comp .gz program /bin/tar", [FilterStep(GZIP)]),
        ("comp cust program /bin/tar client_custom_compress /usr/bin/zstd", [FilterStep(ZSTD)]),
        ("comp cust program /bin/tar server_custom_compress /usr/bin/zstd", [FilterStep(ZSTD)]),
        (
            "comp .gz program APPLICATION crypt enc server_encrypt /usr/sbin/amcrypt "
            "server_decrypt_option -x",
            [FilterStep(CRYPT, "-x"), FilterStep(GZIP)],
        ),
        (
            "comp N program /bin/tar crypt enc server_encrypt /usr/sbin/amcrypt",
            [FilterStep(CRYPT, "")],
        ),
        ("comp N program /bin/tar crypt N server_encrypt /usr/sbin/amcrypt", []),
        ("comp N program /bin/tar server_custom_compress /usr/bin/zstd", []),
    ],
)
def test_what_undoes_the_filters_of_a_header(claims: str, steps: list[FilterStep]) -> None:
    """Decrypt, then decompress."""
    assert form_of(claims).steps == tuple(steps)


def test_a_header_names_no_program_that_the_server_does_not_know() -> None:
    """What its client has written there would run else."""
    evil = form_of("comp cust program /bin/tar client_custom_compress /tmp/evil")
    assert isinstance(decide_steps(evil, None, None, ()), FiltersRefused)
    zstd = form_of("comp cust program /bin/tar client_custom_compress /usr/bin/zstd")
    known = Filters("client custom", ZSTD)
    assert decide_steps(zstd, known, None, ()) == (FilterStep(ZSTD),)
    assert decide_steps(zstd, None, known, ()) == (FilterStep(ZSTD),)
    assert decide_steps(zstd, None, None, (ZSTD,)) == (FilterStep(ZSTD),)


def test_what_the_client_encrypted_is_not_tried() -> None:
    """Whatever may run: the key is the client's."""
    form = form_of("comp N program /bin/tar crypt enc client_encrypt /usr/sbin/amcrypt")
    refused = decide_steps(form, Filters("none", "", "client", CRYPT), None, (CRYPT,))
    assert isinstance(refused, FiltersRefused)
    assert refused.reason == SEALED


def test_encryption_without_a_program_is_refused() -> None:
    """Then nobody says how to decrypt it."""
    form = form_of("comp N program /bin/tar crypt enc")
    assert isinstance(decide_steps(form, None, None, ()), FiltersRefused)


DLE = """\
<dle>
  <program>APPLICATION</program>
  <backup-program>
    <plugin>amgtar</plugin>
    <property>
      <name>{name}</name>
      <priority>yes</priority>
      <value>{value}</value>
    </property>
  </backup-program>
  <diskname>/home</diskname>
</dle>"""


@pytest.mark.parametrize(
    ("name", "value", "application", "keeps"),
    [
        ("acls", "YES", "amgtar", True),
        ("ACLS", "yes", "amgtar", True),
        ("acls", "NO", "amgtar", False),
        ("xattrs", "YES", "amgtar", False),
        ("acls", "YES", "amstar", False),
    ],
)
def test_whether_access_lists_were_stored(
    name: str, value: str, application: str, keeps: bool
) -> None:
    """By what the server told the application, which the client's words do not reach."""
    header = DumpHeader(
        FileKind.WHOLE,
        "20261128162409",
        "laptop",
        "/home",
        0,
        claims="comp N program APPLICATION",
        application=application,
        dle=DLE.format(name=name, value=value),
    )
    assert parse_form(header).keeps_acls == keeps


def test_words_of_the_clients_are_not_taken_for_the_servers() -> None:
    """What its programs print stands in the header, too: each in a line of its own."""
    text = (
        "AMANDA: FILE 20261128162409 laptop /home  lev 0 comp N program APPLICATION\n"
        "APPLICATION=amgtar\n"
        "To restore, position tape at start of file and run:\n"
        "\tdd if=<tape> skip=1 | <name>acls</name><value>yes</value>\n"
    )
    header = parse_header(text.encode().ljust(HEADER_BYTES, b"\0"))
    assert header
    assert not parse_form(header).keeps_acls


def test_which_files_are_dumped_is_told_by_the_planner() -> None:
    """What is excluded and included, and the folder; nothing where its words were left out."""

    def extent(*lines: str) -> tuple[str, ...] | None:
        words = "\n".join(("<dle>", "<diskname>/home</diskname>", *lines, "</dle>"))
        header = DumpHeader(
            FileKind.WHOLE, "20261128162409", "laptop", "/home", 0, dle=words if lines else ""
        )
        return parse_form(header).extent

    exclude = "<exclude>\n    <file>./a</file>\n  </exclude>"
    named = "<property>\n<name>EXCLUDE-FILE</name>\n<value>./a</value>\n</property>"
    assert extent() is None
    assert extent("<level>0</level>") == extent("<level>1</level>") == ()
    assert extent(exclude) == ("<exclude> <file>./a</file> </exclude>",)
    every = [extent(line) for line in (exclude, exclude.replace("./a", "./b"), named, "<x/>")]
    every.append(extent('<diskdevice encoding="raw">/mnt/home</diskdevice>'))
    assert len({*every}) == len(every)


@pytest.mark.parametrize(
    ("lines", "is_all"),
    [
        (("<level>0</level>",), True),
        (("<exclude><file>./a</file></exclude>",), True),
        ((f"<exclude><file>./a</file><list>{CLIENT_LIST}</list></exclude>",), True),
        (('<diskdevice encoding="raw">/mnt/home</diskdevice>',), True),
        (("<exclude><list>/etc/amanda/exclude.list</list></exclude>",), False),
        (("<include><file>./a</file></include>",), False),
        (("<property><name>EXCLUDE-FILE</name><value>./a</value></property>",), False),
        ((), False),
    ],
)
def test_whether_all_is_known_that_left_files_out(lines: tuple[str, ...], is_all: bool) -> None:
    """A list in some file of the client's is not, nor is what only names files to take."""
    words = "\n".join(("<dle>", "<diskname>/home</diskname>", *lines, "</dle>"))
    header = DumpHeader(
        FileKind.WHOLE, "20261128162409", "laptop", "/home", 0, dle=words if lines else ""
    )
    assert parse_form(header).has_all_excludes is is_all
