"""What the report says that it was made from."""

from stages.render import provenance_tables
from stages.shared import params, paths


def test_published_results_say_which_cpus_trained_them_and_others_only_which_rendered(tmp_path, monkeypatch):
    settings, trained_on = params.load(), tmp_path / "trained_on.csv"
    monkeypatch.setattr(paths, "TRAINED_ON", trained_on)
    rendered = provenance_tables.origin(settings)["cpus"]
    assert rendered.startswith("The report was rendered on: ")
    rows = ("a,One CPU,AVX512,3.11.7,2.14.1", "b,One CPU,AVX2,3.11.7,2.14.1", "c,One CPU,AVX512,3.12.0,2.14.1")
    trained_on.write_text("\n".join(["variant,cpu,instructions,python,torch", *rows]), encoding="utf-8")
    both = "Its nets were trained on: One CPU with AVX2 (1 variant), One CPU with AVX512 (2 variants)."
    assert provenance_tables.origin(settings)["cpus"] == f"{rendered} {both}"
