"""report/try-it/engine.js in V8 without a browser, and the nets that the tests give it."""

import base64
import json

import numpy as np
import torch
from safetensors.torch import load_file

from stages.shared import paths
from stages.shared.architectures.build import build, save_weights
from stages.shared.params import Architecture

ENGINE = paths.ROOT / "report" / "try-it" / "engine.js"
BASE = {
    "connectivity": "conv", "channels": [4, 6], "kernel": 3, "dilation": 1, "padding": "zero", "reduce_at": [1, 2],
    "stride": 1, "pooling": "max", "pool_size": 2, "layers": [], "groups": 1, "tile": 1, "residual": 0, "norm": "none",
    "norm_groups": 2, "activation": "relu", "dropout": 0.0, "patch": 4, "heads": 2, "positions": "learned",
    "mlp_ratio": 2, "head": "flatten", "hidden": [], "module": None,
}  # fmt: skip


def architecture(**changes):
    return Architecture.model_validate_json(json.dumps(BASE | changes))


def trained_net(settings, shape, classes, file):
    """A torch module whose weights are numbers of 16 bits, saved as `file`; batch norm has seen other images."""
    channels = shape[0]
    mean, std = [0.2, 0.3, 0.4][:channels], [0.3, 0.25, 0.2][:channels]
    generator = torch.Generator().manual_seed(7)
    model = build(settings, shape, classes, mean, std, generator)
    model.train()(255 * torch.rand(64, *shape, generator=generator))
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            if tensor.dtype == torch.float32 and not name.startswith("normalise."):
                tensor.copy_((2 * tensor if "weight" in name else tensor).half().float())
    save_weights(model, file)
    assert load_file(file).keys() == model.state_dict().keys()
    return model.eval()


def torch_probabilities(model, image):
    """(K,), of an image (C, H, W)."""
    with torch.no_grad():
        return model(torch.from_numpy(image)[None]).softmax(1)[0].numpy()


class Engine:
    def __init__(self):
        from py_mini_racer import MiniRacer  # V8, which the other tests that make nets here need not have

        self.context = MiniRacer()
        self.context.eval(ENGINE.read_text(encoding="utf-8") + "\nvar nets = []; var images = [];")

    def load(self, described):
        """Load a net as the figures stage describes it. Returns its number."""
        return int(self.context.eval(f"nets.push(engine.load({json.dumps(described)})) - 1"))

    def run(self, number, image):
        """Probabilities (K,), and the map after the first activation."""
        pixels = np.ascontiguousarray(image, dtype=np.float32)
        stored = {"type": "float32", "data": base64.b64encode(pixels.tobytes()).decode()}
        map_ = f"{{data: engine.numbersOf({json.dumps(stored)}), shape: {json.dumps(pixels.shape)}}}"
        answer = json.loads(
            self.context.eval(
                f"(() => {{ const {{probabilities, first}} = engine.run(nets[{number}], {map_});"
                " return JSON.stringify({probabilities, first: [...first.data], shape: first.shape}); })()"
            )
        )
        return np.array(answer["probabilities"]), np.array(answer["first"]).reshape(answer["shape"])

    def moved(self, function, image, *arguments):
        """`shifted` or `rearranged` of an image (C, H, W)."""
        written = ", ".join(json.dumps(argument) for argument in arguments)
        map_ = json.dumps({"data": image.ravel().tolist(), "shape": image.shape})
        source = f"engine.{function}({map_}, {written})"
        return np.array(json.loads(self.context.eval(f"JSON.stringify([...{source}.data])"))).reshape(image.shape)
