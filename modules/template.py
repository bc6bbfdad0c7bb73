"""A net of your own: copy this file, change the copy, and name it in params.yaml (see docs/own-data.md)."""

from torch import Tensor, nn


class Net(nn.Module):
    """Two convolutions and a linear layer.

    shape: (channels, height, width) of an image on its canvas. classes: how many. What follows them are arguments of
    your own, which params.yaml gives. Keep `features` and `head`, and the net gets every probe; any other net needs
    only a `forward` from images to logits.
    """

    def __init__(self, shape: tuple[int, int, int], classes: int, width: int = 16) -> None:
        super().__init__()
        channels, height, width_of_image = shape
        self.features = nn.Sequential(
            nn.Conv2d(channels, width, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(width, 2 * width, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
        )
        self.head = nn.Sequential(nn.Flatten(), nn.Linear(2 * width * (height // 4) * (width_of_image // 4), classes))

    def forward(self, images: Tensor) -> Tensor:
        """Standardised images, (N, channels, height, width), to logits, (N, classes)."""
        return self.head(self.features(images))
