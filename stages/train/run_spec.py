"""Everything that decides one training run, beside the data and the code."""

from typing import Literal

from stages.shared.params import Architecture, Block, Params, Recipe, Sample


class RunSpec(Block):
    """seed: the protocol's; chance is drawn from seed + sample.seed_offset. recipe: its length is resolved.

    device: cpu or cuda, the kind of device that trains. instruction_set: of the CPU.
    """

    seed: int
    sample: Sample
    architecture: Architecture
    recipe: Recipe
    device: Literal["cpu", "cuda"]
    instruction_set: str

    @classmethod
    def of(cls, settings: Params, variant: str, seed: int, device: Literal["cpu", "cuda"]) -> "RunSpec":
        run = settings.variants[variant].run
        recipe = run.recipe
        if recipe.steps is None and recipe.epochs == "protocol":
            recipe = recipe.model_copy(update={"epochs": settings.chosen_protocol.epochs})
        return cls(
            seed=seed,
            sample=run.sample,
            architecture=run.architecture,
            recipe=recipe,
            device=device,
            instruction_set=settings.machine.instruction_set,
        )

    def determining_settings(self) -> str:
        """As JSON, without the setting that only chooses how many seeds a variant gets."""
        return self.model_dump_json(exclude={"sample": {"seeds"}})
