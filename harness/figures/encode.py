"""Figures and pictures as data URIs, small enough that one page holds all of them."""

from __future__ import annotations

import base64
import io
import re
import zlib
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from harness.figures.style import style

FIGURE_BYTES = 60_000
PNG_DPI = 160
_LONG_NUMBER = re.compile(r"(\d\.\d\d)\d+")
_TAG = re.compile(r"<[^<>]*>")
_FONTS = "'DejaVu Sans', Verdana, Arial, sans-serif"
# Fine grain first costs quality, then size.
_WEBP_QUALITY = (88, 75, 60, 45, 30)
_SCALES = [0.75**step for step in range(5)]


def svg_uri(figure: Figure) -> str:
    """The figure as an SVG data URI; the same figure gives the same text.

    Words stay text, in a font that is as wide as the one they were laid out with where the reader
    has it; coordinates are cut to hundredths of a point, numbers that people read are not.
    """
    with style():
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    text = _TAG.sub(lambda tag: _LONG_NUMBER.sub(r"\1", tag[0]), buffer.getvalue())
    text = text.replace("'DejaVu Sans'", _FONTS)
    return _uri("image/svg+xml", text.encode())


def png_uri(figure: Figure) -> str:
    """The figure as a PNG data URI."""
    with style():
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=PNG_DPI, metadata={"Software": None})
    return _uri("image/png", buffer.getvalue())


def figure_uri(figure: Figure) -> str:
    """SVG if it stays under `FIGURE_BYTES`, else PNG: a crowded figure is smaller as pixels."""
    vector = svg_uri(figure)
    return vector if len(vector) <= FIGURE_BYTES else min(vector, png_uri(figure), key=len)


def image_uri(image: NDArray[np.uint8], most: int) -> str:
    """A grey (H, W) or colour (H, W, 3) picture as a data URI of at most about `most` bytes.

    PNG, exact, if it fits; else WebP of falling quality; else a smaller picture.
    """
    picture = Image.fromarray(image)
    # A quarter of its rows that is packed to more than half of what all may take: no PNG will fit.
    if len(zlib.compress(np.ascontiguousarray(image[::4]).tobytes(), 1)) < most / 2:
        exact = _picture_uri(picture, "png")
        if len(exact) <= most:
            return exact
    for scale in _SCALES:
        size = (round(picture.width * scale), round(picture.height * scale))
        scaled = picture.resize(size, Image.Resampling.LANCZOS).convert("RGB")
        *better, worst = _WEBP_QUALITY
        uri = _webp_uri(scaled, worst)
        if len(uri) <= most:  # only then is a better one worth its encoding
            tried = (_webp_uri(scaled, quality) for quality in better)
            return next((found for found in tried if len(found) <= most), uri)
    return uri


def _webp_uri(picture: Image.Image, quality: int) -> str:
    return _picture_uri(picture, "webp", quality=quality, method=2)  # half the time of 4


def _picture_uri(picture: Image.Image, kind: str, **options: Any) -> str:
    buffer = io.BytesIO()
    picture.save(buffer, format=kind, **options)
    return _uri(f"image/{kind}", buffer.getvalue())


def _uri(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"
