"""This project: the epochs of stages.train.run.train_run, in a process set up as a training's worker is."""

import os
import time

import torch

from bench.contestants import Train
from bench.data import TRAIN, arrays
from stages.shared import params
from stages.shared.architectures.build import build
from stages.shared.process_pool import keep_freed_memory
from stages.shared.random_streams import stream
from stages.train.augmentation import views
from stages.train.data import Split
from stages.train.recipe import build_optimiser
from stages.train.run import batches_of, set_up, train_epochs

ENDLESS = 2**40  # steps


def trainer(net: str, images: int) -> Train:
    keep_freed_memory()
    set_up()
    data = arrays()
    images = min(images, TRAIN)
    pixels, labels = (torch.from_numpy(data[name][:images]) for name in ("train_images", "train_labels"))
    run = params.load().variants[net].run
    model = build(run.architecture, (1, 28, 28), 10, [0.0], [1.0], torch.Generator().manual_seed(0))
    split = Split(pixels.unsqueeze(1), labels)
    recipe = run.recipe.model_copy(update={"precision": os.environ["PRECISION"]})
    batches = batches_of(recipe, split, stream("order", 0), views(recipe, split.images, (0, 0), None, 0))
    epochs = train_epochs(model, build_optimiser(recipe, model.parameters()), recipe, batches, ENDLESS)

    def train() -> float:
        start = time.perf_counter()
        next(epochs)
        return time.perf_counter() - start

    return train
