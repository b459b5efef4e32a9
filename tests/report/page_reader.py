"""Reads a page as a strict browser would: balanced tags, attributes, text, pictures."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass, field
from html.parser import HTMLParser
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray
from PIL import Image

VOID = {"meta", "img", "br", "wbr", "link", "hr", "input"}
# Tags whose end HTML lets one leave out; the page leaves out none.
SVG_TEXT = "{http://www.w3.org/2000/svg}text"


@dataclass(frozen=True)
class Shown:
    """One picture of the page."""

    alt: str
    uri: str

    @property
    def kind(self) -> str:
        return self.uri.partition(";")[0].removeprefix("data:")

    @property
    def content(self) -> bytes:
        return base64.b64decode(self.uri.partition("base64,")[2], validate=True)

    def words(self) -> list[str]:
        """Texts of a figure; raises where the SVG is not XML."""
        root = ElementTree.fromstring(self.content)
        return ["".join(element.itertext()).strip() for element in root.iter(SVG_TEXT)]

    def pixels(self) -> NDArray[np.uint8]:
        with Image.open(io.BytesIO(self.content)) as picture:
            return np.asarray(picture.convert("RGB"))


@dataclass
class Page(HTMLParser):
    """A parsed page; a tag that is not closed, or closed twice, is an AssertionError."""

    html: str
    tags: list[str] = field(default_factory=list)
    attributes: list[tuple[str, str, str]] = field(default_factory=list)
    pictures: list[Shown] = field(default_factory=list)
    rows: list[list[str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        HTMLParser.__init__(self)
        self._open: list[str] = []
        self._text: list[str] = []
        self._cell: list[str] | None = None
        self.feed(self.html)
        self.close()
        assert not self._open, f"left open: {self._open}"

    def __hash__(self) -> int:
        return id(self)

    @property
    def text(self) -> str:
        """Visible text, white space folded."""
        return " ".join(" ".join(self._text).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag == "img":
            given = dict(attrs)
            self.pictures.append(Shown(given["alt"] or "", given["src"] or ""))
        if tag not in VOID:
            self._open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self._cell = []

    def handle_endtag(self, tag: str) -> None:
        assert tag not in VOID, f"</{tag}> closes nothing"
        assert self._open, f"</{tag}> closes nothing"
        assert self._open[-1] == tag, f"</{tag}> closes <{self._open[-1]}>"
        self._open.pop()
        if tag in ("td", "th") and self._cell is not None:
            self.rows[-1].append(" ".join("".join(self._cell).split()))
            self._cell = None

    def handle_data(self, data: str) -> None:
        if "style" in self._open:
            return
        self._text.append(data)
        if self._cell is not None:
            self._cell.append(data)
