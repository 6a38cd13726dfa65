"""A document of a few kinds of blocks, as HTML and as Markdown; whatever text comes in, none of it is markup."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from smoothtask.model.text import sanitise

CELL = 300
"""Characters of a cell at most."""
# No script, no network: the page shows what is in it, whatever somebody named a program.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 68em; margin: 2em auto; padding: 0 1em; color: #222; background: #fff }
h1, h2 { line-height: 1.2 } h2 { margin-top: 2em; border-bottom: 1px solid #ccc }
table { border-collapse: collapse; margin: 1em 0 } th, td { border: 1px solid #ccc; padding: .2em .6em; text-align: left }
th { background: #f3f3f3 } pre { background: #f3f3f3; padding: .6em; overflow-x: auto }
figure { margin: 1em 0 } figcaption { color: #555 } svg { max-width: 100%; height: auto }
.note { border-left: 4px solid #c80; padding-left: .8em }
"""  # noqa: E501 - a line of CSS is a line


@dataclass(frozen=True, slots=True)
class Heading:
    """Begins a section."""

    text: str


@dataclass(frozen=True, slots=True)
class Paragraph:
    """Plain text; a *note* is what a reader must not miss."""

    text: str
    note: bool = False


@dataclass(frozen=True, slots=True)
class Points:
    """A list."""

    texts: Sequence[str]


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of cells below a head."""

    head: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True, slots=True)
class Code:
    """Text whose spaces count."""

    text: str


@dataclass(frozen=True, slots=True)
class Figure:
    """A drawing (SVG of ours: the one thing that is markup), and in words what it shows."""

    svg: str
    caption: str


Block = Heading | Paragraph | Points | Table | Code | Figure


def to_html(title: str, blocks: Sequence[Block]) -> str:
    """One page that needs nothing else."""
    body = "\n".join(_html(block) for block in blocks)
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8">\n<title>{_safe(title)}</title>\n'
        f'<meta http-equiv="Content-Security-Policy" content="{escape(POLICY)}">\n'
        f"<style>{STYLE}</style></head>\n<body><h1>{_safe(title)}</h1>\n{body}\n</body></html>\n"
    )


def to_markdown(title: str, blocks: Sequence[Block]) -> str:
    """The same, without the drawings."""
    return "\n\n".join([f"# {_plain(title)}", *(_markdown(block) for block in blocks)]) + "\n"


def _html(block: Block) -> str:
    match block:
        case Heading(text):
            return f"<h2>{_safe(text)}</h2>"
        case Paragraph(text, note):
            return f'<p class="note">{_safe(text)}</p>' if note else f"<p>{_safe(text)}</p>"
        case Points(texts):
            return "<ul>" + "".join(f"<li>{_safe(t)}</li>" for t in texts) + "</ul>"
        case Table(head, rows):
            first = "".join(f"<th>{_safe(c)}</th>" for c in head)
            rest = "\n".join("<tr>" + "".join(f"<td>{_safe(c)}</td>" for c in row) + "</tr>" for row in rows)
            return f"<table><tr>{first}</tr>\n{rest}</table>"
        case Code(text):
            return f"<pre>{escape(_clean_lines(text))}</pre>"
        case Figure(svg, caption):
            return f"<figure>{svg}<figcaption>{_safe(caption)}</figcaption></figure>"


def _markdown(block: Block) -> str:
    match block:
        case Heading(text):
            return f"## {_plain(text)}"
        case Paragraph(text, note):
            return f"> {_plain(text)}" if note else _plain(text)
        case Points(texts):
            return "\n".join(f"- {_plain(t)}" for t in texts)
        case Table(head, rows):
            lines = [head, ["---"] * len(head), *rows]
            return "\n".join("| " + " | ".join(_plain(cell) for cell in line) + " |" for line in lines)
        case Code(text):
            # A fence longer than any run of backticks inside cannot be closed from inside.
            fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", text)), default=0))
            return f"{fence}\n{_clean_lines(text)}\n{fence}"
        case Figure(_, caption):
            return f"*{_plain(caption)}* (drawn in the HTML report)"


def _safe(text: str) -> str:
    return escape(sanitise(text, CELL * 4))


def _plain(text: str) -> str:
    """Text that Markdown (CommonMark 2.4) takes for text."""
    cleaned = sanitise(text, CELL * 4)
    return cleaned if set(cleaned) == {"-"} else re.sub(r"([\\`*_\[\]<>|#&!~])", r"\\\1", cleaned)


def _clean_lines(text: str) -> str:
    return "\n".join(sanitise(line, CELL * 4) for line in text.splitlines())
