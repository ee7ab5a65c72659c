"""What a server may ask of a client that encrypts its dumps; and the cheats."""

import pytest

from asyncamanda.core.amanda.packets import ACK, NAK, REQ, end, packet
from asyncamanda.core.amanda.sealed_requests import find_objection
from asyncamanda.core.amanda.sealing import PROGRAM
from asyncamanda.system.guarded import RequestGuard

# as Amanda 3.5.1 sends it; tests/e2e/test_encrypted.py has a real one pass
OPTIONS = "OPTIONS features=ffffffff;maxdumps=2;hostname=laptop;config=daily;\n"
ENCRYPT = f"""\
  <encrypt>CUSTOM<custom-encrypt-program>{PROGRAM}</custom-encrypt-program>
    <decrypt-option>-d</decrypt-option>
  </encrypt>
"""
IGNORE = """\
    <property>
      <name>ignore</name>
      <value encoding="raw" raw="OiBcLi8=">:__./</value>
    </property>
"""
DLE = f"""\
<dle>
  <program>APPLICATION</program>
  <disk>/srv/docs</disk>
  <level>0</level>
  <auth>ssh</auth>
  <compress>FAST</compress>
{ENCRYPT}  <record>YES</record>
  <exclude>
    <file>./cache</file>
    <list>/etc/list</list>
    <optional>YES</optional>
  </exclude>
  <datapath>AMANDA</datapath>
  <backup-program>
    <plugin>amgtar</plugin>
    <property>
      <name>check-device</name>
      <value>NO</value>
    </property>
{IGNORE}  </backup-program>
</dle>
"""
DUMP = f"SERVICE sendbackup\n{OPTIONS}{DLE}"
INCLUDING = DUMP.replace(
    "  <datapath>", "  <include>\n    <file>./a</file>\n  </include>\n  <datapath>"
)
SCRIPT = "<script><plugin>script-email</plugin></script>"
MORE = "<property><name>acls</name><priority><a/></priority><value>NO</value></property>"
RAW_NAME = 'encoding="raw" raw="bm9ybWFs"'  # "normal"


def objection(text: str) -> str:
    """Return why a request is refused."""
    return find_objection(text.encode("latin-1") + b"\0")


@pytest.mark.parametrize(
    "text",
    [
        "SERVICE noop\nOPTIONS features=ff;\n",
        DUMP,
        DUMP.replace("  <compress>FAST</compress>\n", ""),
        INCLUDING,
        DUMP.replace("<disk>/srv/docs", '<disk encoding="raw" raw="L3NydiAv">/srv_/'),
        DUMP.replace("<level>0", "<level>0<server>YES</server>"),
        DUMP.replace("sendbackup", "selfcheck").replace("  <level>0</level>\n", ""),
        DUMP.replace("sendbackup", "sendsize") + DLE.replace("docs", "home"),
    ],
)
def test_what_encrypts_passes(text: str) -> None:
    """A dump, its estimate, and a check."""
    assert objection(text) == ""


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "not understood"),
        ("SERVICE noop\n", "not understood"),
        ("SERVICE noop\nOPTIONS a;\nSERVICE sendbackup\n", "not understood"),
        (f"SERVICE sendbackup\n{OPTIONS}", "not understood"),
        (f"SERVICE sendbackup\n{OPTIONS}GNUTAR /srv/docs 0 1970:1:1:0:0:0 OPTIONS |;\n", "not und"),
        ("SERVICE amindexd\nOPTIONS a;\n", "service amindexd"),
        ("SERVICE restore\nOPTIONS a;\n", "service restore"),
        ("SERVICE ambackup\nOPTIONS a;\n", "service ambackup"),
        (DUMP.replace(ENCRYPT, ""), "without encryption"),
        (DUMP.replace(PROGRAM, "/bin/cat"), "does not encrypt"),
        (DUMP.replace(">-d<", "><"), "does not encrypt"),
        (DUMP.replace("CUSTOM", "NONE"), "does not encrypt"),
        (DUMP.replace(ENCRYPT, ENCRYPT + ENCRYPT), "twice"),
        (DUMP.replace(ENCRYPT, ENCRYPT.replace("  </enc", "  <a/>  </enc")), "does not encrypt"),
        (DUMP.replace("<record>YES</record>", "<index>YES</index>"), "index"),
        (DUMP.replace("<record>YES</record>", "<kencrypt>YES</kencrypt>"), "kencrypt"),
        (DUMP.replace("<record>YES</record>", "<script><plugin>a</plugin></script>"), "script"),
        (
            DUMP.replace("FAST", "CUSTOM<custom-compress-program>/a</custom-compress-program>"),
            "com",
        ),
        (DUMP.replace("FAST", "SERVER-FAST"), "compress"),
        (DUMP.replace(">AMANDA<", ">DIRECTTCP<"), "datapath"),
        (DUMP.replace(">APPLICATION<", ">GNUTAR<"), "program"),
        (DUMP.replace("amgtar", "amraw"), "amgtar alone"),
        (DUMP.replace("<plugin>amgtar", "<plugin>x</plugin><plugin>amgtar"), "amgtar alone"),
        (DUMP.replace("check-device", "command-options"), "command-options"),
        (DUMP.replace("check-device", "gnutar-path"), "gnutar-path"),
        (DUMP.replace("check-device", "verbose"), "verbose"),
        (DUMP.replace("check-device", "normal"), "normal"),
        (DUMP.replace("<value>NO<", "<value>/bin/sh<"), "neither YES nor NO"),
        (DUMP.replace(IGNORE, ""), "IGNORE"),
        (DUMP.replace("OiBcLi8=", "eA=="), "IGNORE"),
        (DUMP.replace("<dle>", "<dle><!-- -->"), "not understood"),
        (DUMP.replace("<dle>", "<?a?><dle>"), "not understood"),
        (DUMP.replace("<dle>", "<dle><![CDATA[x]]>"), "not understood"),
        (DUMP.replace("</dle>", ""), "not understood"),
        (DUMP.replace("<disk>", "<disk a='b'>"), "not understood"),
        (DUMP.replace("docs", "do\0cs"), "not understood"),
        # a file's lines that are no names to include are told to the server, one by one
        (INCLUDING.replace("<file>./a</file>", "<list>/dev/sda</list>"), "include"),
        # Amanda takes these anywhere, and forgets the properties that came before
        (DUMP.replace("<optional>YES<", f"<optional>{SCRIPT}YES<"), "exclude"),
        (DUMP.replace("/srv/docs<", f"/srv/docs{SCRIPT}<"), "disk"),
        (DUMP.replace("<level>0", f"<level>{SCRIPT}0"), "level"),
        (DUMP.replace("    <property>", f"{MORE}    <property>", 1), "property"),
        # what it is called is what is encoded, and what has no text is not there
        (DUMP.replace("<name>ignore", f"<name {RAW_NAME}>ignore"), "not allowed"),
        (DUMP.replace(">:__./<", "><"), "IGNORE"),
        (DUMP.replace(">:__./<", "> <"), "IGNORE"),
        (DUMP.replace(f">{PROGRAM}<", f">\n{PROGRAM}<"), "does not encrypt"),
        (DUMP.replace("config=daily", "config=../../tmp/daily"), "not understood"),
        (DUMP + "x", "not understood"),
        (DUMP + DLE, "not understood"),
        (DUMP + DUMP, "not understood"),
    ],
)
def test_all_else_is_refused(text: str, words: str) -> None:
    """What encrypts nothing, or tells names beside it, or starts something else."""
    assert words in objection(text)


def test_the_guard_passes_whole_packets_and_answers_those_it_refuses() -> None:
    """However the bytes are cut; what is no request goes on, and so does the end of a handle."""
    good, bad = packet(1, REQ, DUMP), packet(2, REQ, DUMP.replace(PROGRAM, "/bin/cat"))
    ack, over = packet(1, ACK, ""), end(7)
    for step in (1, 7, 10_000):
        guard, passed, refused = RequestGuard(), b"", b""
        stream = good + bad + ack + over
        for at in range(0, len(stream), step):
            on, back = guard.hear(stream[at : at + step])
            passed, refused = passed + on, refused + back
        assert passed == good + ack + over
        assert refused[8] == NAK
        assert b"ERROR asyncamanda: the client refuses" in refused
        assert refused[4:8] == bad[4:8]
        assert not guard.is_garbled


def test_what_is_no_packet_ends_it() -> None:
    """Nothing of it goes on."""
    guard = RequestGuard()
    assert guard.hear(b"\xff" * 20) == (b"", b"")
    assert guard.is_garbled
