"""The numbers that `dvc exp show` and `dvc metrics diff` show are those of the report's answer."""

from fake_results import collected, only, seeds, settings
from report_content import spaced

from stages.figures import answer, hypotheses, ladder
from stages.shared import paths
from stages.shared.drawing import numbers

ACCURACIES = {"cnn": 0.9043, "fully_connected": 0.8611, "locally_connected": 0.8873}
ACCURACIES |= {"cnn_permuted": 0.871, "fully_connected_permuted": 0.8605, "locally_connected_permuted": 0.8629}


def test_dvcs_metrics_are_the_numbers_of_the_answer(monkeypatch, tmp_path):
    raw = settings(lambda raw: (only(raw, *ACCURACIES), seeds(10)(raw)))
    means = {variant: [mean] * 10 for variant, mean in ACCURACIES.items()}
    results = collected(monkeypatch, tmp_path, raw, n_test=10_000, means=means)
    metrics = paths.read_json(paths.METRICS)
    differences = {
        "gap": 0.0432,  # 0.9043 − 0.8611
        "locality": 0.0238,  # (0.8873 − 0.8611) − (0.8629 − 0.8605)
        "sharing": 0.0089,  # (0.9043 − 0.8873) − (0.8710 − 0.8629)
        "permutation": 0.0327,  # 0.0432 − (0.8710 − 0.8605)
    }
    assert metrics["accuracy"] == 0.9043
    assert {name: metrics[name] for name in differences} == differences
    text = spaced(" ".join(ladder.facts(results).values()))
    before = {"gap": "in test accuracy:", "permutation": "minus the lead on permuted ones is"}
    for name in differences:
        shown = f"{before.get(name, 'The difference of the two is')} {numbers.points(metrics[name])} points ["
        assert shown in text
    assert f"({numbers.percent(metrics['accuracy'])} % [" in text
    assert f"labels {numbers.percent(metrics['accuracy'], 1)} % of the test images" in spaced(answer.gap(results))
    assert f"{metrics['supported']} are supported" in hypotheses.tally(results)
    outcomes = ("supported", "contradicted", "undecided", "not_stated", "not_run")
    assert sum(metrics[outcome] for outcome in outcomes) == len(results.declared)
    assert len(metrics) == 1 + len(differences) + len(outcomes) + 1
    assert numbers.percent(metrics["shifts"]) == numbers.percent(results.mean("cnn", "shift_consistency").mean)
