"""What a variant is called and its colour: the same in every figure, table and sentence."""

from stages.shared.drawing import style
from stages.shared.params import Params
from stages.shared.params.architecture import LAYERED

NETS = {
    "conv": "CNN",
    "separable": "separable CNN",
    "locally_connected": "locally connected net",
    "fully_connected": "MLP",
    "attention": "vision transformer",
    "mixer": "MLP-Mixer",
    "resnet18": "ResNet-18",
}


class Names:
    """Names and colours of all variants in params.yaml.

    A variant is named after the first family that it lists and its level there. Related families (`kernel`,
    `kernel_matched`, `kernel_field`) form a group and share a hue; the variants of a group have different tones of it.
    """

    def __init__(self, settings: Params) -> None:
        self._settings = settings
        self._labels = _distinct({variant: self._plain_label(variant) for variant in settings.variants})
        levels = {variant: self._level(variant) for variant in settings.active_variants}
        self._short_labels = self._labels | _distinct(levels, self._labels)
        self._colours = self._all_colours()

    def label(self, variant: str) -> str:
        """Return "Kernel size: 5×5"; the baseline has the name of its net, "CNN (baseline)"."""
        return self._labels[variant]

    def short(self, variant: str) -> str:
        """Return the level alone, "5×5", for places where the colour shows the family."""
        return self._short_labels[variant]

    def levels(self, family: str) -> dict[str, str]:
        """Variant → name of its level, for the variants of one family that ran."""
        return _distinct(self._settings.levels(family))

    def net(self, variant: str) -> str:
        """Return the kind of net: "CNN", "MLP"; of a user's own net the name of its class."""
        architecture = self._settings.variants[variant].run.architecture
        own = architecture.own_module
        return own.class_.replace("_", " ") if own else NETS[architecture.connectivity]

    def nets_with_heads(self, variants: list[str]) -> list[str]:
        """Return "CNN + global average": the kind of each net and, where it averages over positions, its head.

        Where several variants have the same net and head, the short label of each.
        """
        nets = [self.net(variant) for variant in variants]
        for place, variant in enumerate(variants):
            architecture = self._settings.variants[variant].run.architecture
            if architecture.connectivity in LAYERED and architecture.head != "flatten":
                nets[place] += f" + {architecture.head.replace('_', ' ')}"
        pairs = zip(nets, variants, strict=True)
        return [net if nets.count(net) == 1 else self.short(variant) for net, variant in pairs]

    def first_family(self, variant: str) -> str | None:
        return next(iter(self._settings.variants[variant].families), None)

    def colour(self, variant: str) -> str:
        return self._colours[variant]

    def group(self, family: str) -> str:
        """The family that this one extends (`kernel` for `kernel_matched`), or the family itself."""
        return next((other for other in self._settings.families if family.startswith(f"{other}_")), family)

    def groups(self) -> list[str]:
        return list(dict.fromkeys(self.group(family) for family in self._settings.families))

    def group_colour(self, family: str) -> str:
        return style.PALETTE[self.groups().index(self.group(family)) % len(style.PALETTE)]

    def _level(self, variant: str) -> str:
        family = self.first_family(variant)
        if variant == self._settings.baseline:
            return "baseline"
        if family is None:
            return self._labels[variant]
        return self._settings.variants[variant].families[family]

    def _plain_label(self, variant: str) -> str:
        family = self.first_family(variant)
        if variant == self._settings.baseline:
            net = self.net(variant)
            return f"{net[0].upper()}{net[1:]} (baseline)"
        if family is None:
            return variant.replace("_", " ")
        return f"{self._settings.families[family].title}: {self._settings.variants[variant].families[family]}"

    def _all_colours(self) -> dict[str, str]:
        members: dict[str, list[str]] = {}  # by hue, which several groups share where there are many
        for variant in self._settings.variants:
            family = self.first_family(variant)
            if family is not None and variant != self._settings.baseline:
                members.setdefault(self.group_colour(family), []).append(variant)
        colours = dict.fromkeys(self._settings.variants, style.GREY) | {self._settings.baseline: style.INK}
        for hue, variants in members.items():
            colours |= dict(zip(variants, style.shades(hue, len(variants)), strict=True))
        return colours


def _distinct(names: dict[str, str], longer: dict[str, str] | None = None) -> dict[str, str]:
    """Make names unique: one that several variants share is replaced by the longer one, or extended by the key."""
    all_names = list(names.values())
    distinct = {}
    for variant, name in names.items():
        if all_names.count(name) == 1:
            distinct[variant] = name
        else:
            distinct[variant] = longer[variant] if longer else f"{name} ({variant})"
    return distinct
