"""Everything that decides one training run, beside the data and the code."""

from typing import Literal

from stages.shared.params import Architecture, Block, Params, Positive, Recipe, Sample
from stages.train.length import steps_an_epoch, with_length


class RunSpec(Block):
    """seed: the protocol's; chance is drawn from seed + sample.seed_offset, the images from `seed` alone.

    val_size: images that the seed draws to validate on; None where the dataset has a val set, which every seed uses.
    sample, recipe: their size and length are numbers. score_every: steps after which, at the end of the epoch, the
    validation images are scored: as many as an epoch of all the protocol's train images has. device: cpu or cuda, the
    kind of device that trains. instruction_set: of the CPU.
    """

    seed: int
    sample: Sample
    val_size: Positive | None
    architecture: Architecture
    recipe: Recipe
    score_every: Positive
    device: Literal["cpu", "cuda"]
    instruction_set: str

    @classmethod
    def of(
        cls,
        settings: Params,
        variant: str,
        seed: int,
        device: Literal["cpu", "cuda"],
        n_images: int,
        has_val_set: bool = False,
    ) -> "RunSpec":
        """n_images: that there are to train and, without a val set, to validate too."""
        run, protocol = settings.trained_variants[variant].run, settings.chosen_protocol
        protocol_size = protocol.images_to_train(n_images, has_val_set)
        size = protocol_size if run.sample.train_size == "protocol" else run.sample.train_size
        return cls(
            seed=seed,
            sample=run.sample.model_copy(update={"train_size": size}),
            val_size=None if has_val_set else protocol.val_size,
            architecture=run.architecture,
            recipe=with_length(run.recipe, protocol.epochs, size, protocol_size),
            score_every=steps_an_epoch(run.recipe, protocol_size),
            device=device,
            instruction_set=settings.machine.instruction_set,
        )

    @property
    def train_size(self) -> int:
        """Number of train images."""
        assert self.sample.train_size != "protocol", "RunSpec.of resolves it"
        return self.sample.train_size

    @property
    def drawn_seed(self) -> int:
        """Of the initial weights, the order of the images and random labels."""
        return self.seed + self.sample.seed_offset

    def determining_settings(self) -> str:
        """As JSON, without the setting that only chooses how many seeds a variant gets."""
        return self.model_dump_json(exclude={"sample": {"seeds"}})
