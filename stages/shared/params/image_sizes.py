"""How large images and feature maps are, from the settings alone."""

import warnings
import zipfile
from pathlib import Path
from typing import NamedTuple

from stages.shared import paths
from stages.shared.architectures import geometry
from stages.shared.params.blocks import Data
from stages.shared.params.settings import Params


class Known(NamedTuple):
    """shape: (channels, height, width) of an image as published. classes: how many."""

    shape: tuple[int, int, int]
    classes: int


# None where only the user's file can tell.
DATASETS: dict[str, Known | None] = {
    "fashion_mnist": Known((1, 28, 28), 10),
    "mnist": Known((1, 28, 28), 10),
    "kmnist": Known((1, 28, 28), 10),
    "emnist_letters": Known((1, 28, 28), 26),
    "svhn": Known((3, 32, 32), 10),
    "cifar10": Known((3, 32, 32), 10),
    "cifar100": Known((3, 32, 32), 100),
    "digits": Known((1, 8, 8), 10),
    "npz": None,
    "folder": None,
}
MAX_CHANNELS = 4  # of a user's images
EXIF_ORIENTATION, EXIF_FIRST_TURNED = 0x0112, 5  # from 5 up, height and width are exchanged


def raw_shape(settings: Params) -> tuple[int, int, int] | None:
    """(channels, height, width) of an image as published; None where the user's files do not tell."""
    data = settings.data
    known = DATASETS[data.dataset]
    if known:
        return known.shape
    return _folder_shape(data) if data.dataset == "folder" else _npz_shape(paths.USER / str(data.file))


def image_shape(settings: Params, layout: str = "original") -> tuple[int, int, int] | None:
    """(channels, height, width) of the canvas in this layout; None while the user's file is absent.

    The canvas is the image and its margin, and where the layout scatters images, the room for that.
    """
    shape = raw_shape(settings)
    margin = settings.chosen_protocol.margin + geometry.scatter_reach(layout)
    return None if shape is None else (shape[0], *geometry.canvas(*shape[1:], margin))


def _npz_shape(path: Path) -> tuple[int, int, int] | None:
    """Shape of the user's images, from the file's header alone; None if it cannot be told (download says why)."""
    import numpy as np  # a tenth of a second that most datasets do without

    try:
        with zipfile.ZipFile(path) as archive, archive.open("images.npy") as header:
            version = np.lib.format.read_magic(header)
            read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            shape = read(header)[0]
    except Exception:  # whatever is wrong with the file, download names it
        return None
    if len(shape) == 3:
        return 1, shape[1], shape[2]
    return (shape[3], shape[1], shape[2]) if len(shape) == 4 and 1 <= shape[3] <= MAX_CHANNELS else None


def _folder_shape(data: Data) -> tuple[int, int, int] | None:
    """Shape of the user's images: what the settings bring them to, or the shape of the first one; None if it is absent.

    Whether all have that shape is for download to say.
    """
    channels = 3 if data.colour == "rgb" else 1
    if data.target_size is not None:
        return channels, *data.target_size
    from PIL import Image

    root = paths.USER / str(data.folder)
    for path in sorted(root.glob("**/*.*")):
        if any(part.startswith(".") for part in path.relative_to(root).parts):
            continue
        try:
            with warnings.catch_warnings(action="ignore"), Image.open(path) as image:
                width, height = image.size
                is_turned = image.getexif().get(EXIF_ORIENTATION, 1) >= EXIF_FIRST_TURNED
        except Exception:  # whatever is wrong with the picture, download names it
            continue
        return (channels, width, height) if is_turned else (channels, height, width)
    return None
