"""Makes text that came from a process safe to show, log and store."""

import unicodedata

# Categories that a terminal, a log reader or a person can be deceived by: controls (C0, C1, DEL), format
# characters (bidi overrides, zero width), surrogates (bytes that were not UTF-8), private use, unassigned,
# line and paragraph separators.
_UNSAFE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
ELLIPSIS = "…"


def sanitise(text: str | bytes, limit: int = 256) -> str:
    """Return *text* with every unsafe character replaced by U+FFFD, cut to *limit* characters.

    >>> sanitise(b"bad\\x1b[31m name\\xff")
    'bad\ufffd[31m name\ufffd'
    """
    if isinstance(text, bytes):
        text = text[: 4 * limit + 4].decode("utf-8", "replace")
    cut = text[: limit + 1]
    if not (cut.isascii() and cut.isprintable()):
        cut = "".join(REPLACEMENT if unicodedata.category(c) in _UNSAFE else c for c in cut)
    return cut if len(cut) <= limit else cut[: limit - 1] + ELLIPSIS
