"""Keras: Model.fit over arrays in memory, float32 in [0, 1]; KERAS_BACKEND says on what."""

import os
import time

import keras
import numpy as np
from keras import layers

from bench.contestants import Train
from bench.data import BATCH, LR, TRAIN, arrays


def net_of(name: str) -> keras.Model:
    if name == "lab_mlp":
        inside = [layers.Flatten(), layers.Dense(256, activation="relu")]
    else:
        inside = [
            layers.Conv2D(32, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(2),
            layers.Conv2D(64, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(2),
            layers.Flatten(),
        ]
    return keras.Sequential([keras.Input((28, 28, 1)), *inside, layers.Dense(128, activation="relu"), layers.Dense(10)])


def trainer(net: str, images: int) -> Train:
    if os.environ["KERAS_BACKEND"] == "torch":
        import torch

        torch.set_default_device("cpu")
    data = arrays()
    images = min(images, TRAIN)
    pixels, labels = (
        data["train_images"][:images, :, :, np.newaxis].astype(np.float32) / 255,
        data["train_labels"][:images],
    )
    model = net_of(net)
    model.compile(
        optimizer=keras.optimizers.Adam(LR),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )

    def train() -> float:
        start = time.perf_counter()
        model.fit(pixels, labels, batch_size=BATCH, epochs=1, shuffle=True, verbose=0)
        return time.perf_counter() - start

    return train
