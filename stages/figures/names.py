"""What a variant is called, and its colour: the same in every figure, table and sentence."""

from stages.drawing import style
from stages.params import Params

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

    def home(self, variant: str) -> str | None:
        return next(iter(self._settings.variants[variant].families), None)

    def colour(self, variant: str) -> str:
        return self._colours[variant]

    def family_colour(self, family: str) -> str:
        return style.PALETTE[list(self._settings.families).index(family) % len(style.PALETTE)]

    def _level(self, variant: str, family: str) -> str:
        return self._settings.variants[variant].families[family]

    def _short(self, variant: str) -> str:
        home = self.home(variant)
        return "baseline" if variant == self._settings.baseline else self._level(variant, home) if home else self._labels[variant]

    def _plain(self, variant: str) -> str:
        if variant == self._settings.baseline:
            net = self.net(variant)
            return f"{net[0].upper()}{net[1:]} (baseline)"
        home = self.home(variant)
        return f"{self._settings.families[home].title}: {self._level(variant, home)}" if home else variant.replace("_", " ")

    def _all_colours(self) -> dict[str, str]:
        colours = dict.fromkeys(self._settings.variants, style.GREY)
        for family in self._settings.families:
            own = [key for key in self._settings.variants if self.home(key) == family and key != self._settings.baseline]
            colours |= dict(zip(own, style.shades(self.family_colour(family), len(own)), strict=True)) if own else {}
        return colours | {self._settings.baseline: style.INK}


def _distinct(names: dict[str, str], longer: dict[str, str] | None = None) -> dict[str, str]:
    """Variant → name, and for a name that several have the longer one; without one, the name with the variant's key."""
    given = list(names.values())
    return {key: name if given.count(name) == 1 else longer[key] if longer else f"{name} ({key})" for key, name in names.items()}
