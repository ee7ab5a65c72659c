"""What encrypts dumps on the client: one program, at one path, by Amanda's client-side encryption.

Amanda starts it between the compression and the network, and with an option to decrypt. Its path
stands in the server's dumptype and in each dump's header, and a client takes part with no other.
"""

import re

from asyncamanda.core.amanda.filters import GZIP

PROGRAM = "/usr/local/sbin/asyncamanda-seal"
DECRYPT_OPTION = "-d"
AGE, AGE_KEYGEN = "/usr/bin/age", "/usr/bin/age-keygen"
IDENTITY = "/etc/asyncamanda/identity"  # root's alone: it opens the dumps
RECIPIENT = "/etc/asyncamanda/recipient"  # everybody may read it: it only closes them
CONFIRMED = "/etc/asyncamanda/recovery-sheet-confirmed"
SEALED_DUMPTYPE = "roaming-encrypted"
# what tar complains of has names in it, and goes to the server as it is: amgtar drops such lines
IGNORED = r": \./"
KNOWN_STEPS = {(), (GZIP,), (PROGRAM,), (PROGRAM, GZIP)}

SCRIPT = f"""\
#!/bin/sh
# Written by `asyncamanda setup --encrypt`. Amanda encrypts dumps with it, and root decrypts them.
case "$#:$1" in
0:) exec {AGE} --encrypt --recipients-file {RECIPIENT} ;;
1:{DECRYPT_OPTION}) exec {AGE} --decrypt --identity {IDENTITY} ;;
esac
echo "$0: unknown arguments" >&2
exit 64
"""

APPLICATION_LINES = """\
define application roaming-tar-encrypted {
    plugin "amgtar"
    property "CHECK-DEVICE" "NO"
    property "XATTRS" "YES"
    property "ACLS" "YES"
    property "IGNORE" ": \\\\./"    # tar's complaints: they have names in them
}
"""

DUMPTYPE_LINES = f"""\
define dumptype {SEALED_DUMPTYPE} {{
    roaming-base
    comment "a roaming machine whose dumps only it can read"
    comprate 1, 1
    program "APPLICATION"
    application "roaming-tar-encrypted"
    compress client fast
    encrypt client
    client_encrypt "{PROGRAM}"
    client_decrypt_option "{DECRYPT_OPTION}"
    index no            # it would have the names
}}
"""

_RECIPIENT = re.compile(r"age1[02-9ac-hj-np-z]{58}")


def parse_recipient(text: str) -> str | None:
    """Return the public key in the text of a recipient's file; None if there is not just one."""
    lines = [line.strip() for line in text.splitlines()]
    keys = [line for line in lines if line and not line.startswith("#")]
    return keys[0] if len(keys) == 1 and _RECIPIENT.fullmatch(keys[0]) else None


def render_definitions() -> str:
    """Return what an amanda.conf needs that has a dumptype `roaming-base`."""
    return f"{APPLICATION_LINES}{DUMPTYPE_LINES}"
