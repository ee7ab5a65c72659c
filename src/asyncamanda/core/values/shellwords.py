"""Words of a command as a person can paste them into a shell."""

import shlex
from collections.abc import Iterable


def quote_word(word: str) -> str:
    r"""Return a word in one printable line: `a`, `'a b'`, or `$'a\x0a'` for what does not print.

    The latter is understood by bash, zsh and ksh. Bytes that are no UTF-8 are as os.fsdecode() has
    them.
    """
    if word.isprintable():
        return shlex.quote(word)
    return f"$'{''.join(map(_escape, word))}'"


def quote_words(words: Iterable[str]) -> str:
    """Return words with blanks between them, each as quote_word() writes it."""
    return " ".join(map(quote_word, words))


def as_user(user: str, command: str) -> str:
    """Return what root types to run `command` as a user, who may have no shell; sudo may lack."""
    return f"as root: runuser -u {user} -- {command}"


def _escape(letter: str) -> str:
    if letter in "\\'":
        return f"\\{letter}"
    if letter.isprintable():
        return letter
    return "".join(f"\\x{byte:02x}" for byte in letter.encode("utf-8", "surrogateescape"))
