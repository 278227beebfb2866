"""Screens as PNG: what QEMU draws is a PPM (or, since 7.1, may be a PNG)."""

import io

from PIL import Image

_FORMATS = ("PPM", "PNG")
_THUMBNAIL = (192, 144)
# A PNG of some KiB may unfold to any size; in three bytes a pixel this is 12 MiB.
_MOST_PIXELS = 4_000_000


def as_png(content: bytes) -> bytes:
    """The picture as PNG. Raises ValueError when it is none."""
    return _png(_opened(content))


def thumbnail(content: bytes) -> bytes:
    """The same within 192 × 144, for a row of a list."""
    small = _opened(content)
    small.thumbnail(_THUMBNAIL)
    return _png(small)


def differ(one: bytes, other: bytes) -> bool:
    """Whether two screens show different things: another size, or another content."""
    first, second = _opened(one), _opened(other)
    return first.size != second.size or first.tobytes() != second.tobytes()


def _opened(content: bytes) -> Image.Image:
    try:
        picture = Image.open(io.BytesIO(content), formats=_FORMATS)
        if picture.width * picture.height > _MOST_PIXELS:
            raise ValueError(f"a picture of {picture.width} × {picture.height} is not opened")
        return picture.convert("RGB")
    except (OSError, SyntaxError, Image.DecompressionBombError) as broken:
        raise ValueError(f"not a picture: {broken}") from broken


def _png(picture: Image.Image) -> bytes:
    out = io.BytesIO()
    picture.save(out, format="PNG", optimize=True)
    return out.getvalue()
