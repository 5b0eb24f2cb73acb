"""Pieces of HTML, as notebooks show them: texts are visible and escaped, pictures are inside. Torch-free."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from html import escape

from clipgen.util.text import visible


def text(value: object) -> str:
    """Return a value as the text of an element or an attribute, on which no character has another effect."""
    shown = ", ".join(map(str, value)) if isinstance(value, tuple | list) else str(value)
    return escape(visible(shown))


def address(content: bytes, kind: str) -> str:
    """Return a file as a data URI; kind: its media type, such as "image/png"."""
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"


def image(content: bytes, kind: str, description: str = "") -> str:
    """Return an element that shows a picture at its own size, or as wide as there is room."""
    return f'<img src="{address(content, kind)}" alt="{text(description)}" style="max-width:100%">'


def table(rows: Mapping[str, object]) -> str:
    """Return a table of names and values."""
    cells = "".join(
        f'<tr><th style="text-align:left">{text(name)}</th><td style="text-align:left">{text(value)}</td></tr>'
        for name, value in rows.items()
    )
    return f"<table>{cells}</table>"
