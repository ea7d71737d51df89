"""HTML pages that stand alone: style, tables, and embedded figures."""

import base64
import html
import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from string import Template
from typing import Any

from markdown_it import MarkdownIt
from PIL import Image

_PAGE = Template("""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>$title</title><style>
body { font: 16px/1.5 system-ui, sans-serif; max-width: 70em; margin: 2em auto; padding: 0 1em; }
table { border-collapse: collapse; font-size: 14px; margin: 1em 0; }
td, th { border: 1px solid #bbb; padding: .3em .6em; text-align: left; vertical-align: top; }
img { max-width: 100%; } h2 { margin-top: 2em; } code { white-space: pre-wrap; }
pre { background: #f4f4f4; padding: .6em; overflow-x: auto; font-size: 13px; }
</style></head><body>
<h1>$title</h1>
$body
</body></html>
""")


def page(title: str, sections: Iterable[str]) -> str:
    """A page from a plain title and sections in HTML."""
    return _PAGE.substitute(title=html.escape(title), body="\n".join(sections))


def table(headers: Sequence[Any], rows: Iterable[Sequence[Any]]) -> str:
    """A table of plain texts and numbers; it has no header line if all headers are empty."""

    def cells(tag, row):
        return "".join(f"<{tag}>{html.escape(str(cell))}</{tag}>" for cell in row)

    head = f"<tr>{cells('th', headers)}</tr>" if any(headers) else ""
    return "<table>" + head + "".join(f"<tr>{cells('td', row)}</tr>" for row in rows) + "</table>"


def markdown(text: str) -> str:
    """Markdown with tables as HTML; headings are one level lower, and links are their texts."""
    reader = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = reader.parse(text)
    for token in tokens:
        if token.type.startswith("heading"):
            token.tag = f"h{int(token.tag[1:]) + 1}"
        # What a link points to is not on a page that stands alone.
        token.children = [t for t in token.children or () if not t.type.startswith("link_")]
    return reader.renderer.render(tokens, reader.options, {})


def image(path: Path) -> str:
    """An embedded PNG file, in 256 colours, which makes a figure three times smaller."""
    with Image.open(path) as picture:
        shown = picture.convert("RGB").quantize(256, dither=Image.Dither.NONE)
    content = io.BytesIO()
    shown.save(content, "PNG", optimize=True)
    encoded = base64.b64encode(content.getvalue()).decode()
    return f'<p><img alt="{html.escape(path.stem)}" src="data:image/png;base64,{encoded}"></p>'
