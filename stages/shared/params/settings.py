"""All of params.yaml: which variants a protocol trains, and that every name has what it names."""

from collections.abc import Collection, Sequence
from typing import Annotated, Self

from pydantic import Field, model_validator

from stages.shared.params.architecture import Architecture
from stages.shared.params.blocks import Data, Eda, Family, Inference, Machine, Probe, Protocol, Variant
from stages.shared.params.fields import Block, Name
from stages.shared.params.messages import ParamsError, guess, mistake, must_be_one_of
from stages.shared.params.run import Recipe, Sample

LONGER = "_longer"  # ends the name of a variant that is trained longer


class Params(Block):
    protocols: Annotated[dict[Name, Protocol], Field(min_length=1)]
    protocol: Name  # the name of the one that is used
    data: Data
    machine: Machine
    eda: Eda
    sample: Sample
    architecture: Architecture
    recipe: Recipe
    probe: Probe
    variants: Annotated[dict[Name, Variant], Field(min_length=1)]
    families: dict[Name, Family]
    inference: Inference

    @property
    def chosen_protocol(self) -> Protocol:
        """The protocol that `protocol` names."""
        return self.protocols[self.protocol]

    @property
    def baseline(self) -> str:
        """The variant that the others of the chosen protocol are compared with."""
        return self.chosen_protocol.baseline

    @property
    def active_variants(self) -> dict[str, Variant]:
        """The variants that the chosen protocol runs, in the order of params.yaml."""
        return {key: variant for key, variant in self.variants.items() if key in self.chosen_protocol.variants}

    @property
    def longer_variants(self) -> dict[str, Variant]:
        """The variants of the chosen protocol that are trained longer, each under its own name and `_longer`."""
        longer = self.chosen_protocol.longer
        if longer is None:
            return {}
        return {key + LONGER: self.variants[key].lengthened(longer.times) for key in longer.variants}

    @property
    def trained_variants(self) -> dict[str, Variant]:
        """All that the chosen protocol trains and probes."""
        return self.active_variants | self.longer_variants

    def without(self, variants: Collection[str]) -> Self:
        """The same settings without these variants in the protocol."""
        kept = tuple(key for key in self.chosen_protocol.variants if key not in variants)
        return self.model_copy(
            update={
                "protocols": {
                    **self.protocols,
                    self.protocol: self.chosen_protocol.model_copy(update={"variants": kept}),
                }
            }
        )

    def levels(self, family: str) -> dict[str, str]:
        """Variant → name of its level, for the variants of one family that the protocol runs."""
        return {key: v.families[family] for key, v in self.active_variants.items() if family in v.families}

    def variant(self, key: str) -> Variant:
        """Raises ParamsError, naming those that exist, if there is no variant `key`."""
        if key not in self.variants:
            raise ParamsError(f"variant {key!r} is not in params.yaml (have: {', '.join(self.variants)})")
        return self.variants[key]

    def chosen_variants(self, names: Sequence[str]) -> list[str]:
        """These variants of the chosen protocol, all of them if none is named, in the order of params.yaml.

        Raises ParamsError for a variant that the protocol does not run.
        """
        trained = self.trained_variants
        for name in names:
            if name not in trained:
                raise ParamsError(
                    f"variant {name!r} is not one of protocol {self.protocol!r} in params.yaml"
                    f"{guess(name, trained)} (have: {', '.join(trained)})"
                )
        return [key for key in trained if not names or key in names]

    def seeds(self, key: str) -> tuple[int, ...]:
        """The protocol's seeds that the variant runs under."""
        protocol, variant = self.chosen_protocol, self.variants.get(key) or self.longer_variants[key]
        return protocol.seeds if variant.run.sample.seeds == "all" else protocol.few_seeds

    def chosen_seeds(self, key: str, seeds: Sequence[int]) -> list[int]:
        """These seeds of the variant, all of them if none is named, in the order of the protocol.

        Raises ParamsError for a seed under which the protocol does not run the variant.
        """
        planned = self.seeds(key)
        for seed in seeds:
            if seed not in planned:
                raise ParamsError(
                    f"seed {seed} is not one of variant {key!r} in protocol {self.protocol!r} of params.yaml "
                    f"(have: {', '.join(map(str, planned))})"
                )
        return [seed for seed in planned if not seeds or seed in seeds]

    @model_validator(mode="after")
    def _names_resolve(self) -> Self:
        for key, variant in self.variants.items():
            for named in variant.families:
                if named not in self.families:
                    raise mistake(
                        f"variants.{key}.families: {named!r} is not one of {', '.join(self.families)}"
                        f"{guess(named, self.families)}; a block {named} in `families` makes a new one"
                    )
            for quantity, other in variant.matched.items():
                must_be_one_of(f"variants.{key}.matched.{quantity}", other, self.variants)
                if other == key:
                    raise mistake(f"variants.{key}.matched.{quantity} names the variant itself")
        must_be_one_of("protocol", self.protocol, self.protocols)
        for name, protocol in self.protocols.items():
            names_in = {"baseline": (protocol.baseline,), "variants": protocol.variants, "rates": tuple(protocol.rates)}
            for field, keys in names_in.items():
                for key in keys:
                    must_be_one_of(f"protocols.{name}.{field}", key, self.variants)
            for key in protocol.longer.variants if protocol.longer else ():
                if key + LONGER in self.variants:
                    raise mistake(
                        f"variants.{key}{LONGER}: the longer training of {key!r} takes this name; rename the variant"
                    )
        self._must_run(f"protocols.{self.protocol}.baseline", self.baseline)
        for key, family in self.families.items():
            must_be_one_of(f"families.{key}.reference", family.reference, self.variants)
            if self.levels(key):
                self._must_run(f"families.{key}.reference", family.reference)
                if key not in self.variants[family.reference].families:
                    raise mistake(
                        f"families.{key}.reference is {family.reference!r}, which has no level in that family"
                    )
        return self

    def _must_run(self, where: str, variant: str) -> None:
        must_be_one_of(where, variant, self.variants)
        if variant not in self.active_variants:
            raise mistake(
                f"{where}: protocol {self.protocol!r} leaves {variant!r} out; "
                f"its `variants` are {', '.join(self.active_variants)}"
            )
