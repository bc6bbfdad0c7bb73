"""Stands in for safetensors.torch in SageMaker's container, whose image lacks that package, a compiled one.

The format: 8 bytes with the length of a JSON text; that text, which says where each tensor's bytes are; the bytes.
Source: the README of huggingface/safetensors, "Format".
"""

import json
from pathlib import Path

import torch

DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}
LENGTH_BYTES = 8


def load_file(path: str | Path) -> dict[str, torch.Tensor]:
    """Name → tensor."""
    content = bytearray(Path(path).read_bytes())
    start = LENGTH_BYTES + int.from_bytes(content[:LENGTH_BYTES], "little")
    header = json.loads(content[LENGTH_BYTES:start])
    header.pop("__metadata__", None)
    return {name: _tensor(content, start, entry) for name, entry in header.items()}


def save_file(*_: object) -> None:
    """stages.shared.architectures.build imports this name too."""
    raise NotImplementedError("nothing is saved in the container")


def _tensor(content: bytearray, start: int, entry: dict) -> torch.Tensor:
    begin, end = entry["data_offsets"]
    dtype = DTYPES[entry["dtype"]]
    if begin == end:
        return torch.empty(entry["shape"], dtype=dtype)
    count = (end - begin) // dtype.itemsize
    return torch.frombuffer(content, dtype=dtype, count=count, offset=start + begin).view(entry["shape"])
