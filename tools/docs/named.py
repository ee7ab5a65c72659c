"""Whether what the pages name is there: files, what is defined in them, tests, and links."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

# whose words in backquotes are paths where they look like one; below src/asyncamanda, too
STRICT = (
    "CONTRIBUTING.md",
    "SECURITY.md",
    "docs/architecture.md",
    "docs/protocol.md",
    "docs/security.md",
    "docs/untested.md",
)
PACKAGE = "src/asyncamanda"
CLAIMS = "docs/security.md"  # each point of which names its test
NOT_TESTED = "not tested"

_FENCE = re.compile(r"^ *```.*?^ *```$", re.MULTILINE | re.DOTALL)
_PATH = re.compile(r"`((?![/~.])[\w.-]+(?:/[\w.-]*)+|[\w-]+\.(?:md|py|toml))(?:::(\w+))?`")
_TEST = re.compile(r"`tests/[\w./-]+::test_\w+`")
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
_POINT = re.compile(r"^- .*(?:\n(?:  .*|(?=\n  )))*", re.MULTILINE)


def find_missing(root: Path) -> list[str]:
    """Return a line for each thing that a page of `root` names and that is not there."""
    pages = sorted([*root.glob("*.md"), *root.glob("docs/**/*.md")])
    found = [line for page in pages for line in find_bad_links(root, page)]
    if gone := [f"there is no {page}" for page in STRICT if not (root / page).exists()]:
        return [*found, *gone]
    found += [line for page in STRICT for line in find_bad_names(root, root / page)]
    return [*found, *find_bare_claims(root / CLAIMS)]


def find_bad_names(root: Path, page: Path) -> Iterator[str]:
    """Yield a line for each path, or `path::name`, in a page that is not there."""
    for path, name in _PATH.findall(_read(page)):
        places = [root / path, root / PACKAGE / path]
        place = next((place for place in places if place.exists()), None)
        if place is None:
            yield f"{page.name}: there is no {path}"
        elif name and name not in read_definitions(place):
            yield f"{page.name}: {path} defines no {name}"


def find_bad_links(root: Path, page: Path) -> Iterator[str]:
    """Yield a line for each link in a page that leads to no file, or to no heading."""
    for link in _LINK.findall(_read(page)):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists():
            yield f"{page.relative_to(root)}: the link {link} leads nowhere"
        elif anchor and anchor not in read_anchors(target):
            yield f"{page.relative_to(root)}: the link {link} leads to no heading"


def find_bare_claims(page: Path) -> Iterator[str]:
    """Yield a line for each point of a page that names no test, and is not said to have none."""
    for point in _POINT.findall(_read(page)):
        if not _TEST.search(point) and NOT_TESTED not in point.lower():
            yield f"{page.name}: no test is named for: {point.splitlines()[0]}"


def read_definitions(path: Path) -> set[str]:
    """Return the names of the functions and classes in a Python file, and of its constants."""
    tree = ast.parse(path.read_text("utf-8"))
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    names = {node.name for node in ast.walk(tree) if isinstance(node, kinds)}
    for node in tree.body:
        if isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names |= {target.id for target in targets if isinstance(target, ast.Name)}
    return names


def read_anchors(page: Path) -> set[str]:
    """Return the anchors that GitHub gives to a page's headings."""
    headings = _HEADING.findall(_read(page))
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def _read(page: Path) -> str:
    return _FENCE.sub("", page.read_text("utf-8"))
