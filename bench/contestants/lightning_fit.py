"""Lightning: a LightningModule and Trainer.fit over the lab's DataLoader, without logger, bar and checkpoints."""

import logging
import time
import warnings

import lightning
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import Subset

from bench.contestants import Train
from bench.contestants.lab import dataset, loader_of, net_of
from bench.data import LR, TRAIN


class Classifier(lightning.LightningModule):
    def __init__(self, net: str) -> None:
        super().__init__()
        self.net = net_of(net)

    def training_step(self, batch: tuple[Tensor, Tensor], _: int) -> Tensor:
        images, labels = batch
        return F.cross_entropy(self.net(images), labels)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), lr=LR)


class Clock(lightning.Callback):
    """Wall seconds of the epoch alone, without what fit does before and after it."""

    def on_train_epoch_start(self, *_: object) -> None:
        self.start = time.perf_counter()

    def on_train_epoch_end(self, *_: object) -> None:
        self.seconds = time.perf_counter() - self.start


def trainer(net: str, images: int) -> Train:
    warnings.filterwarnings("ignore")  # that the loader has no workers, which is what is measured
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    loader = loader_of(Subset(dataset(), range(min(images, TRAIN))))
    model, clock = Classifier(net), Clock()
    fit = lightning.Trainer(
        max_epochs=0,
        accelerator="cpu",
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
        callbacks=[clock],
    )

    def train() -> float:
        fit.fit_loop.max_epochs = fit.current_epoch + 1
        fit.fit(model, loader)
        return clock.seconds

    return train
