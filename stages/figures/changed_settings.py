"""Which settings a level changes beside what its family is about: norm and activation in a family of depths."""

from collections import Counter
from collections.abc import Collection, Mapping
from itertools import combinations
from typing import Any

from stages.figures import wording
from stages.figures.results import Results
from stages.shared.drawing.tables import escape
from stages.shared.params import Params, Run
from stages.shared.params.architecture import LAYERED
from stages.shared.params.load import READ

BLOCKS = ("sample", "architecture", "recipe")
AMOUNTS = {"seeds", "train_size", "lr", "epochs", "steps", "length"}  # other sentences of the report have these
# Settings that make one choice: a family that is about the first one is about the others too.
ONE_CHOICE = {
    "head": ("hidden",),
    "kernel": ("dilation",),
    "norm": ("norm_groups",),
    "optimizer": ("momentum",),
    "pooling": ("pool_size", "reduce_at", "stride"),
}
CHOICE = {part: first for first, parts in ONE_CHOICE.items() for part in parts}
NOT_COMPARED = {"channels", "dropout", "norm"}  # between kinds of nets, where they mean something else
NOUNS = {
    "layers": "single layers",
    "pool_size": "pooling size",
    "reduce_at": "layers with a reduction",
    "residual": "layers in a residual block",
}
LISTS = {"channels", "hidden", "reduce_at"}
WITHOUT_VALUE = {"layers", "module"}  # too long for a sentence

Changes = dict[str, tuple[Any, Any]]  # setting → its value in a variant and in the one that it is compared with


def sentences(results: Results, family: str) -> list[str]:
    """A sentence for each group of levels that change the same settings beside the family's own choice."""
    settings, levels = results.settings, results.names.levels(family)
    reference = settings.families[family].reference
    own = own_choices(settings, family)
    variants_of: dict[str, list[str]] = {}
    for variant in levels:
        text = _clause(changes(settings, variant, reference), own)
        if text:
            variants_of.setdefault(text, []).append(f"*{escape(levels[variant])}*")
    compared_with = f"from *{escape(levels[reference])}*"
    return [
        f"{wording.joined(names)} {'differs' if len(names) == 1 else 'differ'} {compared_with} {text}."
        for text, names in variants_of.items()
    ]


def is_varied_alone(settings: Params, family: str, name: str) -> bool:
    """Whether two levels of a family differ in this setting and in no other, such as the learning rate."""
    pairs = combinations(_members(settings, family), 2)
    return any(list(_all_changes(settings, *pair)) == [name] for pair in pairs)


def own_choices(settings: Params, family: str) -> set[str]:
    """What a family is about: what most of its levels change, or several of them, and one of these by itself.

    All levels of params.yaml count, also those that the protocol leaves out. A family of two levels has no most.
    """
    members, reference = _members(settings, family), settings.families[family].reference
    levels = [variant for variant in members if variant != reference]
    counts = Counter(choice for level in levels for choice in _choices(changes(settings, level, reference)))
    if len(levels) < 2:
        return set()
    single = [_choices(changes(settings, *pair)) for pair in combinations(members, 2)]
    by_itself = {choice for choices in single if len(choices) == 1 for choice in choices}
    return {
        choice for choice, count in counts.items() if count > len(levels) / 2 or (count > 1 and choice in by_itself)
    }


def changes(settings: Params, variant: str, reference: str) -> Changes:
    """The settings in which two variants differ, but for amounts of training and a width that matches their costs.

    A list of channels that is longer or shorter is another depth, and counts.
    """
    changed = _all_changes(settings, variant, reference)
    left_out = set(AMOUNTS)
    is_matched = bool(settings.variants[variant].matched) or variant in settings.variants[reference].matched.values()
    if is_matched and len({len(channels) for channels in changed.get("channels", ())}) == 1:
        left_out.add("channels")
    return {name: values for name, values in changed.items() if name not in left_out}


def _all_changes(settings: Params, variant: str, reference: str) -> Changes:
    """Of the nets' settings, those that both nets read."""
    runs = [settings.variants[key].run for key in (variant, reference)]
    read = _read_by_both(*runs)
    changed = {}
    for block in BLOCKS:
        first, second = (dict(getattr(run, block)) for run in runs)
        for name, value in first.items():
            if value != second[name] and name != "seeds" and (block != "architecture" or name in read):
                changed[name] = (value, second[name])
    return changed


def _read_by_both(first: Run, second: Run) -> set[str]:
    connectivities = [run.architecture.connectivity for run in (first, second)]
    kinds = {"of layers" if connectivity in LAYERED else connectivity for connectivity in connectivities}
    read = set(READ[connectivities[0]]) & set(READ[connectivities[1]])
    return read if len(kinds) == 1 else read - NOT_COMPARED


def _choices(changed: Mapping[str, Any]) -> set[str]:
    return {CHOICE.get(name, name) for name in changed}


def _members(settings: Params, family: str) -> list[str]:
    return [variant for variant, description in settings.variants.items() if family in description.families]


def _clause(changed: Changes, own: Collection[str]) -> str:
    """What a level changes beside its family's own choices, as the end of a sentence; empty where it is nothing.

    Return "also in norm (batch, not none) and activation (gelu, not relu)". Where a family has no choice that most of
    its levels make, a level that makes one alone has no clause.
    """
    choices = _choices(changed)
    listed = _listed({name: values for name, values in changed.items() if CHOICE.get(name, name) not in own})
    if not listed or (not own and len(choices) == 1):
        return ""
    if choices & set(own):
        return f"also in {listed}"
    return f"in {listed} and not in {' or '.join(map(_noun, sorted(own)))}" if own else f"in {listed} at once"


def _listed(changed: Changes) -> str:
    parts = []
    for name, (value, other) in changed.items():
        shown, instead_of = (_shown(name, one) for one in (value, other))
        values = "" if name in WITHOUT_VALUE else f" ({shown}, not {instead_of})"
        parts.append(f"{_noun(name)}{values}")
    return wording.joined(parts) if parts else ""


def _noun(name: str) -> str:
    return NOUNS.get(name, name.replace("_", " "))


def _shown(name: str, value: Any) -> str:
    """Return "16, 32 and 64" for a list, "3×5" for a height and a width, "global average" for a word."""
    if isinstance(value, tuple):
        parts = list(map(str, value))
        return (wording.joined(parts) if parts else "none") if name in LISTS else "×".join(parts)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return escape(f"{value:g}" if isinstance(value, float) else str(value).replace("_", " "))
