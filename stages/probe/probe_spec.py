"""Everything that decides the probes of one run, beside the data and the code."""

from stages.shared.params import Architecture, Block, Probe, Sample


class ProbeSpec(Block):
    """seed: of the trained run. weights: SHA-256 of its weights. shifted_images: how many test images are shifted.

    pictures: whether to keep arrays to draw, which one run of a variant needs.
    """

    seed: int
    weights: str
    sample: Sample
    architecture: Architecture
    probe: Probe
    shifted_images: int
    pictures: bool
    instruction_set: str

    def determining_settings(self) -> str:
        """As JSON, without the setting that only chooses how many seeds a variant gets."""
        return self.model_dump_json(exclude={"sample": {"seeds"}})
