"""One image file as pixels: what Pillow reads, turned as its camera says, in grey or colour, brought to a size."""

import hashlib
import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

SIXTEEN_BIT = ("I;16", "I;16L", "I;16B", "I;16N")
PHONE_PHOTO = "MPO"  # a JPEG with further pictures behind it, of depth or for a small screen
FROM_16_BITS = 257  # 65535 / 255
MODES = {"grey": "L", "rgb": "RGB"}


class BadPicture(Exception):
    """Why a file cannot be read as one image; the text completes "<file>: …"."""


@dataclass(frozen=True)
class Picture:
    """pixels: uint8 (H, W, C). changes: what was done that a user may want to know, such as "had 16 bits"."""

    pixels: np.ndarray
    sha256: str
    changes: tuple[str, ...]


def read_picture(path: Path, size: tuple[int, int] | None, colour: str) -> Picture:
    """The image in a file. size: (height, width) that it is brought to. colour: grey or rgb. Raises BadPicture."""
    changes: list[str] = []
    try:
        content = path.read_bytes()
        with Image.open(io.BytesIO(content), formats=formats()) as opened:
            frames = getattr(opened, "n_frames", 1)
            if frames > 1 and opened.format != PHONE_PHOTO:
                raise BadPicture(f"has {frames} images in it (it is animated, or has pages); save one of them alone")
            image = _in_colour(ImageOps.exif_transpose(opened), MODES[colour], changes)
    except BadPicture:
        raise
    except Image.UnidentifiedImageError:
        raise BadPicture("is no image that Pillow can read; take it away, or save it as PNG or JPEG") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise BadPicture(
            f"claims more than {Image.MAX_IMAGE_PIXELS:,} pixels; save it smaller, or take it away"
        ) from None
    except Exception as error:  # a damaged file can raise anything inside a decoder
        raise BadPicture(f"cannot be read: it is damaged or cut short ({error or type(error).__name__})") from None
    if size is not None and image.size != (size[1], size[0]):
        changes.append("were brought to another size")
        image = image.resize((size[1], size[0]), Image.Resampling.BILINEAR)
    pixels = np.asarray(image).reshape(image.height, image.width, -1)
    return Picture(pixels, hashlib.sha256(content).hexdigest(), tuple(changes))


@contextmanager
def warnings_as_we_want_them() -> Iterator[None]:
    """An image with too many pixels is an error; Pillow's remarks on odd metadata are of no use to anyone."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        yield


@cache
def formats() -> list[str]:
    """The formats that Pillow reads itself: for EPS it would start Ghostscript."""
    Image.init()
    return [name for name in Image.OPEN if name != "EPS"]


def _in_colour(image: Image.Image, mode: str, changes: list[str]) -> Image.Image:
    if image.mode in SIXTEEN_BIT:
        changes.append("had 16 bits, and were rounded to 8")
        pixels = np.asarray(image).astype(np.uint32)
        image = Image.fromarray(((pixels + FROM_16_BITS // 2) // FROM_16_BITS).astype(np.uint8))
    if image.mode in ("I", "F"):
        raise BadPicture(f"has pixels of mode {image.mode}, without a known black and white; save it with 8 or 16 bits")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        if np.asarray(image.getchannel("A")).min() < 255:
            changes.append("are transparent in places, and were laid on white")
            image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
        image = image.convert("RGB")
    if image.mode == "P":
        image = image.convert("RGB")
    return image if image.mode == mode else image.convert(mode)
