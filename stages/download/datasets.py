"""The datasets by their key in params.yaml, and how each is loaded."""

from stages.download import digits, npz
from stages.download.catalogue import CATALOGUE
from stages.download.obtain import obtain
from stages.download.raw import RawDataset
from stages.download.sources import sources
from stages.download.verify import digest
from stages.shared import paths
from stages.shared.params import Data
from stages.shared.stage_command import StageError


def load(data: Data) -> tuple[RawDataset, str]:
    """The dataset, and the name of the source that served it. Raises StageError with what the user can do."""
    if data.dataset == "digits":
        return digits.load()
    if data.dataset == "npz":
        return npz.load(paths.USER / str(data.file))
    return _published(data.dataset)


def _published(name: str) -> tuple[RawDataset, str]:
    dataset = CATALOGUE[name]
    try:
        found, source = obtain(dataset.title, dataset.files, paths.DOWNLOADS / name, sources(dataset))
    except OSError as error:
        raise StageError(f"download: {error.filename or paths.DOWNLOADS}: {error.strerror or error}") from None
    print(f"download: reading {dataset.title}", flush=True)
    arrays, classes = dataset.read(found)
    # Of what the .gz hold: sources pack the same content differently.
    sha256 = {name.removesuffix(".gz"): digest(path, "sha256", unpack=True) for name, path in found.items()}
    return RawDataset(dataset.title, classes, arrays, sha256), source
