"""The published lab's way: torchvision's dataset, a DataLoader, ToTensor, torch.optim.Adam, and a loop."""

import os
import time

import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset, Subset
from torchvision import transforms
from torchvision.datasets import FashionMNIST

from bench.contestants import Train
from bench.data import BATCH, LR, TRAIN, torchvision_root


def net_of(name: str) -> nn.Sequential:
    """The lab's nets, as its notebook has them: a convolution keeps the size, a pooling halves it."""
    if name == "lab_mlp":
        return nn.Sequential(
            nn.Flatten(), nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 128), nn.ReLU(), nn.Linear(128, 10)
        )
    return nn.Sequential(
        nn.Conv2d(1, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(64 * 7 * 7, 128), nn.ReLU(), nn.Linear(128, 10),
    )  # fmt: skip


def dataset(train: bool = True) -> FashionMNIST:
    return FashionMNIST(str(torchvision_root()), train=train, transform=transforms.ToTensor())


def loader_of(images: Dataset, shuffle: bool = True) -> DataLoader:
    return DataLoader(images, batch_size=BATCH, shuffle=shuffle, num_workers=int(os.environ.get("LOADER_WORKERS", "0")))


def trainer(net: str, images: int) -> Train:
    loader = loader_of(Subset(dataset(), range(min(images, TRAIN))))
    model = net_of(net)
    optimiser = torch.optim.Adam(model.parameters(), lr=LR)

    def train() -> float:
        start = time.perf_counter()
        train_epoch(model, optimiser, loader)
        return time.perf_counter() - start

    return train


def train_epoch(model: nn.Module, optimiser: torch.optim.Optimizer, loader: DataLoader) -> tuple[float, float]:
    """Mean loss and accuracy over the epoch, as the notebook prints them."""
    criterion = nn.CrossEntropyLoss()
    model.train()
    loss_sum, right, seen = 0.0, 0, 0
    for images, labels in loader:
        optimiser.zero_grad()
        logits = model(images)
        loss = criterion(logits, labels)
        loss.backward()
        optimiser.step()
        loss_sum += loss.item() * len(labels)
        right += (logits.argmax(1) == labels).sum().item()
        seen += len(labels)
    return loss_sum / seen, right / seen
