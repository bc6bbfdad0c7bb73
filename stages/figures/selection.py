"""Which variants stand for the kinds of net where a figure, a table or a sentence cannot show all."""

from stages.figures.results import Results


def one_of_each_kind(results: Results) -> list[str]:
    """The baseline, then of every other kind of net the first that differs from the baseline in architecture alone."""
    first = {results.names.net(results.baseline): results.baseline}
    for variant in results.nets:
        architecture = results.settings.variants[variant].run.architecture
        is_linear = not architecture.channels and architecture.connectivity != "resnet18"
        if not is_linear:
            first.setdefault(results.names.net(variant), variant)
    return list(first.values())


def one_of_kind(results: Results, connectivity: str) -> str | None:
    """The one of `one_of_each_kind` with this connectivity, if there is one."""
    kinds = one_of_each_kind(results)
    return next((variant for variant in kinds if results.connectivity(variant) == connectivity), None)


def permuted_baseline(results: Results) -> str | None:
    """The baseline trained on permuted pixels, if it ran."""
    for group in results.alike_except("sample.layout"):
        if results.baseline in group:
            samples = {variant: results.settings.variants[variant].run.sample for variant in group}
            return next((variant for variant, sample in samples.items() if sample.layout == "permuted"), None)
    return None


def nets_on_any_layout(results: Results) -> list[str]:
    """Variants that differ from the baseline in the architecture or the order of the pixels, and in nothing else."""
    groups = [group for group in results.alike_except("sample.layout") if set(group) & set(results.nets)]
    other_layouts = {variant for group in groups for variant in group}
    return [variant for variant in results.variants.index if variant in results.nets or variant in other_layouts]


def names_for_small_panels(results: Results) -> dict[str, str]:
    """Variant → its kind of net if it is in `one_of_each_kind`, else its level."""
    names = {variant: results.names.short(variant) for variant in results.variants.index}
    return names | {variant: results.names.net(variant) for variant in one_of_each_kind(results)}
