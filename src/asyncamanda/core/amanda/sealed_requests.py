"""Which of a server's requests may reach the amandad of a client that encrypts its dumps.

A server that is wrongly configured, or in wrong hands, need only leave the encryption out of a
request, and amandad would send the files in plain. So a request passes only if nothing readable can
come of it: our program encrypts, nothing is indexed, tar's complaints are dropped, and nothing else
is started that could tell names or contents. What is not known is refused. The form is that of
xml_*() in server-src/diskfile.c of Amanda 3.5.1; tests/e2e/test_encrypted.py asks the real one.
"""

import base64
import re
from dataclasses import dataclass, field

from asyncamanda.core.amanda.sealing import DECRYPT_OPTION, IGNORED, PROGRAM

AMGTAR = "amgtar"
# a configuration is one of those of the client, and not at a path
_SERVICE = re.compile(r"SERVICE ([a-z]+)\nOPTIONS (?![^\n]*config=[^;\n]*/)([ -~]*)\n", re.ASCII)
_DUMPING = {"selfcheck", "sendsize", "sendbackup"}
_TOKEN = re.compile(
    r'\s*<(?P<end>/?)(?P<tag>[a-z][a-z-]*)(?: encoding="raw" raw="(?P<raw>[A-Za-z0-9+/=]*)")?'
    r"(?P<empty>/?)>|(?P<text>[^<>]+)"
)
# what may be within; Amanda itself takes a script anywhere. A list that is included is not allowed:
# a line of it that is no name to include is told to the server, whatever file it is of
_PLAIN = {
    "disk": {"raw"},
    "diskdevice": {"raw"},
    "auth": set[str](),
    "record": set[str](),
    "spindle": set[str](),
    "estimate": set[str](),
    "level": {"server"},
    "exclude": {"file", "list", "optional"},
    "include": {"file", "optional"},
}
_FIXED = {
    "program": {"APPLICATION"},
    "compress": {"FAST", "BEST"},
    "datapath": {"AMANDA"},
    "index": {"NO"},
}
_SWITCHES = {"check-device", "acls", "xattrs", "atime-preserve", "one-file-system", "sparse"}
_NEEDED = {"program", "disk", "encrypt", "backup-program"}
_DEEPEST = 6


@dataclass(slots=True)
class _Element:
    """An element of a request: its text, and what it has within."""

    tag: str
    text: str = ""
    children: "list[_Element]" = field(default_factory=list)

    def texts(self) -> list[tuple[str, str]]:
        """Return tag and text of all within; with more below that it is none that is known."""
        return [(one.tag, one.text if not one.children else "?") for one in self.children]


def find_objection(body: bytes) -> str:
    """Return why a request, without the byte for its kind, may not reach amandad, or ""."""
    text = body.rstrip(b"\0").decode("latin-1")
    head = _SERVICE.match(text)
    if head is None:
        return "it is not understood"
    service, rest = head[1], text[head.end() :]
    if service == "noop":
        return "" if not rest.strip() else "it is not understood"
    if service not in _DUMPING:
        return f"the service {service} is not for a client that encrypts its dumps"
    try:
        dles = _parse(rest)
    except ValueError as error:
        return str(error)
    if not dles or (service == "sendbackup" and len(dles) != 1):
        return "it is not understood"
    return next(filter(None, map(_judge, dles)), "")


def _parse(text: str) -> list[_Element]:
    """Return the elements on top. Raises ValueError for what is not exactly as Amanda writes it."""
    top = _Element("")
    way = [top]
    at = 0
    end = len(text.rstrip())
    while at < end:
        token = _TOKEN.match(text, at)
        if token is None or not all(one.isprintable() or one in "\n\t" for one in token[0]):
            raise ValueError("it is not understood")
        at = token.end()
        if token["text"] is not None:
            way[-1].text += token["text"] if token["text"].strip() else ""
        elif token["end"]:
            if len(way) == 1 or way.pop().tag != token["tag"] or token["raw"] or token["empty"]:
                raise ValueError("it is not understood")
        else:
            element = _Element(token["tag"])
            if token["raw"] is not None:
                element.children.append(_Element("raw", token["raw"]))
            way[-1].children.append(element)
            if not token["empty"]:
                way.append(element)
        if len(way) > _DEEPEST:
            raise ValueError("it is not understood")
    if len(way) != 1 or top.text:
        raise ValueError("it is not understood")
    return top.children


def _judge(dle: _Element) -> str:
    if dle.tag != "dle" or dle.text:
        return "it is not understood"
    tags = [one.tag for one in dle.children if one.tag != "level"]
    if len(tags) != len({*tags}):
        return "it says something twice"
    if "encrypt" not in tags:
        return "it asks for a dump without encryption, and this client encrypts its dumps"
    if missing := sorted(_NEEDED.difference(tags)):
        return f"it does not say {missing[0]}"
    return next(filter(None, map(_judge_part, dle.children)), "")


def _judge_part(part: _Element) -> str:
    if part.tag in _PLAIN:
        return "" if _is_plain(part) else f"it has more in {part.tag} than is allowed there"
    if allowed := _FIXED.get(part.tag):
        is_fit = part.text in allowed and not part.children
        return "" if is_fit else f"it wants {part.tag} {part.text[:20]}: that is not encrypted here"
    if part.tag == "encrypt":
        wanted = [("custom-encrypt-program", PROGRAM), ("decrypt-option", DECRYPT_OPTION)]
        is_ours = part.text == "CUSTOM" and part.texts() == wanted
        return "" if is_ours else f"it does not encrypt with {PROGRAM}"
    if part.tag == "backup-program":
        return _judge_program(part)
    return f"it has {part.tag}, which is not allowed where dumps are encrypted"


def _is_plain(part: _Element) -> bool:
    """Return whether nothing is within but what is known, and that is but texts."""
    below = {one.tag for child in part.children for one in child.children}
    return below <= {"raw"} and _PLAIN[part.tag].issuperset(one.tag for one in part.children)


def _judge_program(part: _Element) -> str:
    if part.text or [one for one in part.texts() if one[0] == "plugin"] != [("plugin", AMGTAR)]:
        return "a client that encrypts its dumps is dumped by amgtar alone"
    found: set[str] = set()
    for one in part.children:
        if one.tag == "plugin":
            continue
        name, fault = _judge_property(one)
        if fault or name in found:
            return fault or f"it says {name} twice"
        found.add(name)
    return "" if "ignore" in found else "it lacks amgtar's property IGNORE, which hides names"


def _judge_property(one: _Element) -> tuple[str, str]:
    """Return the name of a property of amgtar's, and why it may not be so, or ""."""
    parts = [child for child in one.children if child.tag != "priority" or child.children]
    tags = [child.tag for child in parts]
    if one.tag != "property" or tags != ["name", "value"]:
        return "", f"it has {one.tag}, which is not allowed where dumps are encrypted"
    name, value = parts
    if name.text == "ignore" and not name.children:
        wanted = [("raw", base64.b64encode(IGNORED.encode()).decode())]
        is_ours = value.texts() == wanted and value.text  # Amanda passes over what has no text
        return "ignore", "" if is_ours else "amgtar's property IGNORE is another one"
    if name.children or name.text not in _SWITCHES:
        return name.text, f"amgtar's property {name.text[:40]} is not allowed there"
    is_switch = not value.children and value.text in {"YES", "NO"}
    return name.text, "" if is_switch else f"amgtar's property {name.text} is neither YES nor NO"
