"""Screens as pictures."""

import io

import pytest
from PIL import Image

from labpanel.adapters.rehearsal import pictures


def screen(colour: tuple[int, int, int], size: tuple[int, int] = (720, 400)) -> bytes:
    """What QEMU writes: a binary PPM (netpbm's "P6")."""
    return b"P6\n%d %d\n255\n" % size + bytes(colour) * (size[0] * size[1])


def opened(content: bytes) -> Image.Image:
    return Image.open(io.BytesIO(content))


def test_a_screen_becomes_a_png_and_a_small_one() -> None:
    content = screen((10, 20, 30))
    whole, small = opened(pictures.as_png(content)), opened(pictures.thumbnail(content))
    assert (whole.format, whole.size) == ("PNG", (720, 400))
    assert whole.getpixel((3, 3)) == (10, 20, 30)
    assert small.size == (192, 107)
    assert pictures.as_png(pictures.as_png(content))  # QEMU may draw a PNG


def test_screens_that_differ() -> None:
    one = screen((0, 0, 0))
    assert not pictures.differ(one, screen((0, 0, 0)))
    assert pictures.differ(one, screen((0, 0, 1)))
    assert pictures.differ(one, screen((0, 0, 0), (640, 480)))


@pytest.mark.parametrize(
    "content",
    [b"", b"P6\n9 9\n255\n", b"GIF89a", b"<svg/>", b"P6\n99999 99999\n255\n" + bytes(30)],
)
def test_what_is_no_screen_is_refused(content: bytes) -> None:
    with pytest.raises(ValueError, match="picture|screen"):
        pictures.as_png(content)
