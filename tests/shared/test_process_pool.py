"""What a stage shows while its tasks run."""

from tqdm import tqdm

from stages.shared import process_pool


def twice(item, report):
    for epoch in (1, 2):
        report(f"seed {item}, epoch {epoch} of 2")


def spread(monkeypatch, **environment):
    for name, value in ({"MAX_WORKERS": "1"} | environment).items():
        monkeypatch.setenv(name, value)
    process_pool.spread(twice, (3, 4), reports=4, title="train cnn", unit="epoch")


def test_a_log_gets_whole_lines_that_end_with_the_last_seed(monkeypatch, capsys):
    monkeypatch.setattr(process_pool, "LOG_SECONDS", 0)
    spread(monkeypatch)
    said = capsys.readouterr().err
    assert "\r" not in said
    lines = said.splitlines()
    assert lines[0] == "train cnn: 0 of 4 epochs, ? left"
    assert lines[-1] == "train cnn: 4 of 4 epochs, 00:00 left, seed 4, epoch 2 of 2"


def test_a_stage_that_is_quicker_than_the_first_line_leaves_no_line_in_a_log(monkeypatch, capsys):
    spread(monkeypatch)
    assert capsys.readouterr().err == ""


def test_what_is_left_is_what_is_to_do_by_the_mean_rate_so_far(monkeypatch):
    """Five of twenty epochs in a minute: three minutes for the other fifteen."""
    shown = {
        "n": 5,
        "total": 20,
        "elapsed": 60,
        "prefix": "train cnn",
        "unit": "epoch",
        "postfix": "seed 0",
        "ncols": 79,
    }
    assert tqdm.format_meter(**shown, bar_format=process_pool.LINE) == "train cnn: 5 of 20 epochs, 03:00 left, seed 0"
    assert tqdm.format_meter(**shown, bar_format=process_pool.BAR) == "train cnn |██      | 5/20, 03:00 left, seed 0"
    monkeypatch.setattr(process_pool.sys.stderr, "isatty", lambda: True)
    assert process_pool._display()["smoothing"] == 0  # tqdm's mean over all that was done
