"""Amanda's ssh finds a client at its relay whatever ssh_config says of every host.

Of two values of a keyword the first counts (ssh_config(5)), so a word below `Host *` reaches an
alias that does not have it. Each keyword that the ssh of this machine knows is set to something
unhelpful.
"""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.system.test_mux import COMMAND, SESSION, Master

from asyncamanda.core.protocol import mux
from asyncamanda.server.enrol.ssh_aliases import plan_include, render_aliases
from lab.patience import at_most

CLIENT = "laptop"
ALL = "all of them"
# these are the alias's own name, and what selects words: none is a setting
NO_SETTINGS = {"host", "match"}
UNHELPFUL = {
    "addkeystoagent": "ask",
    "addressfamily": "inet6",
    "batchmode": "no",
    "bindaddress": "192.0.2.1",
    "bindinterface": "nosuch0",
    "canonicaldomains": "invalid",
    "canonicalizepermittedcnames": "*:*",
    "canonicalizefallbacklocal": "no",
    "canonicalizehostname": "always",
    "canonicalizemaxdots": "9",
    "casignaturealgorithms": "ssh-ed25519",
    "certificatefile": "/nonexistent/cert",
    "channeltimeout": "global=1s",
    "checkhostip": "yes",
    "ciphers": "aes128-ctr",
    "clearallforwardings": "no",
    "compression": "yes",
    "connectionattempts": "50",
    "connecttimeout": "1",
    "controlmaster": "auto",
    "controlpath": "none",
    "controlpersist": "yes",
    "dynamicforward": "4711",
    "enableescapecommandline": "yes",
    "enablesshkeysign": "yes",
    "escapechar": "a",
    "exitonforwardfailure": "yes",
    "fingerprinthash": "md5",
    "forkafterauthentication": "yes",
    "forwardagent": "yes",
    "forwardx11": "yes",
    "forwardx11timeout": "1",
    "forwardx11trusted": "yes",
    "gatewayports": "yes",
    "globalknownhostsfile": "/nonexistent/known",
    "gssapiauthentication": "yes",
    "gssapiclientidentity": "nobody",
    "gssapidelegatecredentials": "yes",
    "gssapikexalgorithms": "gss-group14-sha256-",
    "gssapikeyexchange": "yes",
    "gssapirenewalforcesrekey": "yes",
    "gssapiserveridentity": "nobody",
    "gssapitrustdns": "yes",
    "hashknownhosts": "yes",
    "hostbasedacceptedalgorithms": "ssh-ed25519",
    "hostbasedauthentication": "yes",
    "hostkeyalgorithms": "ssh-ed25519",
    "hostkeyalias": "another",
    "hostname": "gateway.invalid",
    "identitiesonly": "yes",
    "identityagent": "/nonexistent/agent",
    "identityfile": "/nonexistent/key",
    "ignoreunknown": "*",
    "ipqos": "throughput",
    "kbdinteractiveauthentication": "yes",
    "kbdinteractivedevices": "pam",
    "kexalgorithms": "curve25519-sha256",
    "knownhostscommand": "/bin/false",
    "localcommand": "exit 1",
    "localforward": "4712 localhost:22",
    "loglevel": "DEBUG3",
    "logverbose": "*:*",
    "macs": "hmac-sha2-256",
    "nohostauthenticationforlocalhost": "yes",
    "numberofpasswordprompts": "9",
    "obscurekeystroketiming": "yes",
    "passwordauthentication": "yes",
    "permitlocalcommand": "yes",
    "permitremoteopen": "none",
    "pkcs11provider": "/nonexistent/lib.so",
    "port": "4713",
    "preferredauthentications": "password",
    "proxycommand": "false",
    "proxyjump": "gateway.invalid",
    "proxyusefdpass": "yes",
    "pubkeyacceptedalgorithms": "ssh-ed25519",
    "pubkeyauthentication": "no",
    "refuseconnection": "nobody may",
    "rekeylimit": "1K",
    "remotecommand": "/bin/true",
    "remoteforward": "4714 localhost:22",
    "requesttty": "force",
    "requiredrsasize": "4096",
    "revokedhostkeys": "/nonexistent/revoked",
    "securitykeyprovider": "/nonexistent/lib.so",
    "sendenv": "*",
    "serveralivecountmax": "1",
    "serveraliveinterval": "1",
    "sessiontype": "none",
    "setenv": "ODD=1",
    "stdinnull": "yes",
    "streamlocalbindmask": "0777",
    "streamlocalbindunlink": "yes",
    "stricthostkeychecking": "yes",
    "syslogfacility": "AUTH",
    "tag": "odd",
    "tcpkeepalive": "no",
    "tunnel": "yes",
    "tunneldevice": "any:any",
    "updatehostkeys": "ask",
    "user": "nobody",
    "userknownhostsfile": "/nonexistent/known",
    "verifyhostkeydns": "yes",
    "versionaddendum": "odd",
    "visualhostkey": "yes",
    "warnweakcrypto": "yes",
    "xauthlocation": "/nonexistent/xauth",
}


def known_keywords() -> set[str]:
    """Return the keywords that this ssh prints by itself."""
    printed = subprocess.run(["ssh", "-G", "-F", "none", "x"], check=True, capture_output=True)
    names = {line.split()[0].lower() for line in printed.stdout.decode().splitlines()}
    return names - NO_SETTINGS


def test_every_keyword_of_this_ssh_is_tried() -> None:
    """One that a newer ssh has is to be added above."""
    assert known_keywords() - UNHELPFUL.keys() == set()


@pytest.fixture
def home() -> Iterator[Path]:
    """Yield a folder for the configuration and the socket, whose path has 107 bytes at most."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


def call(home: Path, keyword: str) -> subprocess.Popen[bytes]:
    """Start Amanda's ssh, with the keyword for every host, if this ssh knows it."""
    alias = re.sub(r"(?<=ControlPath ).*", str(home / "master"), render_aliases([CLIENT]))
    (home / "asyncamanda.conf").write_text(alias)
    words = UNHELPFUL if keyword == ALL else {keyword: UNHELPFUL[keyword]}
    lines = "".join(f"    {name} {value}\n" for name, value in words.items())
    text = plan_include(f"IgnoreUnknown *\nHost *\n{lines}")
    (home / "config").write_text(text.replace("Include ", f"Include {home}/"))  # no ~ for -F
    argv = ["ssh", "-F", str(home / "config"), "-x", "-o", "BatchMode=yes", "-l", "backup", CLIENT]
    pipe = subprocess.PIPE
    return subprocess.Popen([*argv, COMMAND], stdin=pipe, stdout=pipe, stderr=pipe)


@pytest.mark.parametrize("keyword", [*UNHELPFUL, ALL])
def test_a_word_for_every_host_does_not_break_the_way_back(home: Path, keyword: str) -> None:
    """The client is called by Amanda's command, and nothing is added to what is said there."""
    master = Master(home / "master")
    try:
        master.ssh = call(home, keyword)
        assert master.hear().command == COMMAND
        kinds = [packet.kind for packet in master.packets]
        assert kinds == [mux.HELLO, mux.ALIVE_CHECK, mux.NEW_SESSION]
        assert master.caller
        assert master.ssh.stdin
        master.caller.send(mux.session_opened(master.packets[-1].request, SESSION))
        master.ssh.stdin.write(b"asked")
        master.ssh.stdin.flush()
        reads, writes, errors = master.descriptors
        assert os.read(reads, 100) == b"asked"
        os.write(writes, b"answered")
        os.write(errors, b"remarked")
        master.caller.send(mux.exit_message(SESSION, 3))
        master.hang_up()
        assert master.end() == (3, b"answered", b"remarked")
    finally:
        master.close()


@pytest.mark.parametrize("keyword", [*UNHELPFUL, ALL])
def test_nor_does_it_hide_that_a_client_is_away(home: Path, keyword: str) -> None:
    """Nobody listens: that is said, at once, and no other way is tried."""
    ssh = call(home, keyword)
    said, complained = ssh.communicate(timeout=at_most(10))
    words = b"asyncamanda: laptop is not connected, or refused the request"
    assert (ssh.returncode, said) == (255, b""), complained
    assert words in complained.splitlines()[:2], complained  # this machine's keys may be told first
