"""What a variant is called, and its colour: the same in every figure, table and sentence."""

from stages.shared.drawing import style
from stages.shared.params import Params

NETS = {"conv": "CNN", "locally_connected": "locally connected net", "fully_connected": "MLP", "resnet18": "ResNet-18"}


class Names:
    """A variant belongs to the first family that it names; its tone there is that of its level."""

    def __init__(self, settings: Params) -> None:
        self._settings = settings
        self._labels = _distinct({key: self._plain(key) for key in settings.variants})
        self._shorts = _distinct({key: self._short(key) for key in settings.variants}, self._labels)
        self._colours = self._all_colours()

    def label(self, variant: str) -> str:
        """ "Kernel size: 5×5"; the baseline has the name of its net."""
        return self._labels[variant]

    def levels(self, family: str) -> dict[str, str]:
        """Variant → name of its level, for the variants of one family that the protocol runs."""
        return _distinct(self._settings.levels(family))

    def short(self, variant: str) -> str:
        """The level alone, for where the colour shows the family."""
        return self._shorts[variant]

    def net(self, variant: str) -> str:
        """ "CNN", "MLP"…: what kind of net it is."""
        return NETS[self._settings.variants[variant].run.architecture.connectivity]

    def kind(self, variant: str) -> str:
        """ "CNN + global average": the net and, where it averages over positions, its head."""
        architecture = self._settings.variants[variant].run.architecture
        pooled = architecture.connectivity in ("conv", "locally_connected") and architecture.head != "flatten"
        return self.net(variant) + (f" + {architecture.head.replace('_', ' ')}" if pooled else "")

    def kinds(self, variants: list[str]) -> list[str]:
        """The kind of each; where several are of one kind, what `short` calls them."""
        found = [self.kind(variant) for variant in variants]
        return [
            name if found.count(name) == 1 else self.short(variant)
            for name, variant in zip(found, variants, strict=True)
        ]

    def home(self, variant: str) -> str | None:
        return next(iter(self._settings.variants[variant].families), None)

    def colour(self, variant: str) -> str:
        return self._colours[variant]

    def group(self, family: str) -> str:
        """The family of which this one is an arm: "kernel" of kernel_matched and kernel_field; itself, if there is none."""
        return next((other for other in self._settings.families if family.startswith(f"{other}_")), family)

    def groups(self) -> list[str]:
        return list(dict.fromkeys(self.group(family) for family in self._settings.families))

    def family_colour(self, family: str) -> str:
        """The arms of one question share a hue."""
        return style.PALETTE[self.groups().index(self.group(family)) % len(style.PALETTE)]

    def _level(self, variant: str, family: str) -> str:
        return self._settings.variants[variant].families[family]

    def _short(self, variant: str) -> str:
        home = self.home(variant)
        return (
            "baseline"
            if variant == self._settings.baseline
            else self._level(variant, home)
            if home
            else self._labels[variant]
        )

    def _plain(self, variant: str) -> str:
        if variant == self._settings.baseline:
            net = self.net(variant)
            return f"{net[0].upper()}{net[1:]} (baseline)"
        home = self.home(variant)
        return (
            f"{self._settings.families[home].title}: {self._level(variant, home)}"
            if home
            else variant.replace("_", " ")
        )

    def _all_colours(self) -> dict[str, str]:
        colours = dict.fromkeys(self._settings.variants, style.GREY)
        for group in self.groups():
            own = [
                key
                for key in self._settings.variants
                if key != self._settings.baseline and (home := self.home(key)) and self.group(home) == group
            ]
            colours |= dict(zip(own, style.shades(self.family_colour(group), len(own)), strict=True)) if own else {}
        return colours | {self._settings.baseline: style.INK}


def _distinct(names: dict[str, str], longer: dict[str, str] | None = None) -> dict[str, str]:
    """Variant → name, and for a name that several have the longer one; without one, the name with the variant's key."""
    given = list(names.values())
    return {
        key: name if given.count(name) == 1 else longer[key] if longer else f"{name} ({key})"
        for key, name in names.items()
    }
