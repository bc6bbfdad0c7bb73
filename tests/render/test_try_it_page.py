"""The page that runs trained nets: what it holds, and in a headless Chromium, where there is one, what it answers."""

import json
import shutil
from dataclasses import replace

import browser
import numpy as np
import pytest
from browser import Browser
from browser_engine import architecture, torch_probabilities, trained_net
from fake_results import results_of

from stages.figures import try_it
from stages.figures.net_layers import read_net
from stages.figures.trained_nets import TrainedNet
from stages.render import project, renderers
from stages.shared import paths
from stages.shared.drawing import style
from stages.shared.pixel_order import rearranged

TOLERANCE = 1e-3
NETS = {
    "cnn": {},
    "fully_connected": {"connectivity": "fully_connected"},
    "kernel_5": {"connectivity": "locally_connected"},
}
ODD = "T-shirt </script><b>"  # a class of this name must end no script
needs_browser = pytest.mark.skipif(browser.PROGRAM is None, reason="no Chromium on PATH, so that no page is opened")
FIGURE = '![The caption.](figures/try-it.svg){#fig-try fig-alt="The picture."}\n\n@fig-try'


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Results with three nets to try, and the nets by torch."""
    folder, results = tmp_path_factory.mktemp("nets"), results_of("three")
    models, nets = {}, {}
    for variant, changes in NETS.items():
        settings, file = architecture(**changes), folder / f"{variant}.safetensors"
        models[variant] = trained_net(settings, (1, 32, 32), 10, file)
        nets[variant] = TrainedNet(0, 0.9, read_net(settings, file))
    constants = results.constants | {"classes": [ODD, *results.constants["classes"][1:]]}
    return replace(results, trained=nets, constants=constants), models


def write_page(folder, results):
    """The part of the page that runs the nets, in a project."""
    (folder / "try-it.json").write_text(try_it.texts(results)["try-it.json"], encoding="utf-8")
    shutil.copytree(paths.ROOT / "report/try-it", folder / "try-it", dirs_exist_ok=True)
    (folder / project.TRY_IT).write_text(project.try_it(folder), encoding="utf-8")


@pytest.fixture
def page(small, trained, report_style):
    """A report of one figure, rendered: its HTML file."""
    results, _ = trained
    small.add(FIGURE)
    (small.folder / "figures").mkdir()
    style.save(try_it.still_picture(results), small.folder / "figures" / "try-it.svg")
    write_page(small.folder, results)
    renderers.render_embedded(small.folder, small.out)
    return small.out / "index.html"


@pytest.fixture
def opened(page, tmp_path):
    with Browser(tmp_path / "profile") as shown:
        shown.open(page)
        shown.frame()
        yield shown


def answers(shown):
    """(nets, classes): what the page's cards show."""
    cards = "[...document.querySelectorAll('.try-card')].map(card => card.dataset.probabilities)"
    return np.array([json.loads(card) for card in shown.evaluate(cards)])


def assert_torch_agrees(shown, trained, image):
    expected = np.array([torch_probabilities(model, image) for model in trained[1].values()])
    assert np.abs(answers(shown) - expected).max() < TOLERANCE


def moved(image, down, right):
    """By numpy, with zeros coming in."""
    out = np.zeros_like(image)
    _, height, width = image.shape
    rows, columns = (slice(max(0, by), size + min(0, by)) for by, size in ((down, height), (right, width)))
    from_rows, from_columns = (slice(max(0, -by), size + min(0, -by)) for by, size in ((down, height), (right, width)))
    out[:, rows, columns] = image[:, from_rows, from_columns]
    return out


def focus(shown, selector):
    shown.evaluate(f"document.querySelector({json.dumps(selector)}).focus()")


def click(shown, name):
    script = (
        f"[...document.querySelectorAll('.try button')].find(one => one.textContent === {json.dumps(name)}).click()"
    )
    shown.evaluate(script)
    shown.frame()


def test_a_report_without_nets_has_no_script_for_them(small, trained):
    write_page(small.folder, replace(trained[0], trained={}))
    assert (small.folder / project.TRY_IT).read_text() == ""


def test_the_page_holds_the_nets_as_the_figures_stage_wrote_them(page, trained):
    text = page.read_text(encoding="utf-8")
    start = text.index('id="try-it-data">') + len('id="try-it-data">')
    assert json.loads(text[start : text.index("</script>", start)]) == try_it.page_data(trained[0])
    assert len(text) < 3_000_000


@needs_browser
@pytest.mark.slow
def test_the_page_answers_as_torch_does_to_images_that_are_shifted_and_shuffled(opened, trained):
    results, _ = trained
    images, order = results.offered_images, try_it.pixel_order(results)
    assert_torch_agrees(opened, trained, images[0])
    opened.evaluate("document.querySelectorAll('.try-images button')[4].click()")
    opened.frame()
    assert_torch_agrees(opened, trained, images[4])
    focus(opened, ".try-input canvas")
    opened.press("ArrowRight", "ArrowRight", "ArrowUp")
    assert_torch_agrees(opened, trained, moved(images[4], -1, 2))
    click(opened, "Shuffle")
    assert_torch_agrees(opened, trained, rearranged(moved(images[4], -1, 2)[None], order)[0])
    click(opened, "Reset")
    assert_torch_agrees(opened, trained, images[4])
    click(opened, "Clear")
    assert_torch_agrees(opened, trained, np.zeros_like(images[4]))


@needs_browser
@pytest.mark.slow
def test_the_pointer_shifts_and_draws(opened, trained):
    image = trained[0].offered_images[0]
    box = "document.querySelector('.try-input canvas').getBoundingClientRect()"
    left, top, cell = json.loads(opened.evaluate(f"JSON.stringify([{box}.left, {box}.top, {box}.width / 32])"))

    def centre(row, column):
        return left + (column + 0.5) * cell, top + (row + 0.5) * cell

    opened.drag(centre(10, 10), centre(13, 8))
    assert_torch_agrees(opened, trained, moved(image, 3, -2))
    click(opened, "Clear")
    opened.evaluate("document.querySelector('input[value=draw]').click()")
    opened.drag(centre(5, 6), centre(5, 6))
    drawn = np.zeros_like(image)
    drawn[:, 5:7, 6:8] = 255
    assert_torch_agrees(opened, trained, drawn)
    opened.evaluate("document.querySelector('input[value=erase]').click()")
    opened.drag(centre(6, 7), centre(6, 7))
    drawn[:, 6:8, 7:9] = 0
    assert_torch_agrees(opened, trained, drawn)


@needs_browser
@pytest.mark.slow
def test_the_keyboard_reaches_everything_and_draws(opened, trained):
    names = "(element => element.ariaLabel || element.textContent || element.value || '')(document.activeElement)"
    reached = []
    for _ in range(30):
        opened.press("Tab")
        reached.append(opened.evaluate(names))
    first = next(place for place, name in enumerate(reached) if name.startswith("Test image 1:"))
    stops = reached[first : first + 17]
    assert all(name.startswith(f"Test image {number}:") for number, name in enumerate(stops[:10], 1))
    assert stops[10].startswith("Image for the nets:")
    assert stops[11:15] == ["move", "Shuffle", "Reset", "Clear"]
    click(opened, "Clear")
    focus(opened, "input[value=move]")
    opened.press("ArrowRight")  # to the next tool
    focus(opened, ".try-input canvas")
    opened.press("ArrowRight", "ArrowDown", " ")
    drawn = np.zeros((1, 32, 32), dtype=np.uint8)
    drawn[:, 17:19, 17:19] = 255  # the brush began in the middle
    assert_torch_agrees(opened, trained, drawn)
    opened.evaluate("new Promise(done => setTimeout(done, 700))")
    spoken = opened.evaluate("document.querySelector('.try-live').textContent")
    assert spoken.startswith("Your own drawing. Baseline: ")


@needs_browser
@pytest.mark.slow
def test_a_shift_changes_the_maps_of_a_locally_connected_net_and_not_those_of_a_convolution(opened):
    focus(opened, ".try-input canvas")
    opened.press("ArrowRight", "ArrowDown")
    notes = {}
    for place in range(2):
        opened.evaluate(
            f"{{ const chooser = document.getElementById('try-net'); chooser.selectedIndex = {place};"
            " chooser.dispatchEvent(new Event('change')); }"
        )
        opened.frame()
        notes[place] = opened.evaluate("document.querySelector('.try-maps .try-note').textContent").replace(
            "\u00a0", " "
        )
    assert "differ from the shifted maps by 0 % of their size" in notes[0]
    assert "by 0 %" not in notes[1]


@needs_browser
@pytest.mark.slow
@pytest.mark.parametrize("dark", [False, True])
def test_the_page_fits_a_phone_asks_the_network_for_nothing_and_has_no_error(page, tmp_path, dark):
    with Browser(tmp_path / "profile", width=390, dark=dark) as shown:
        shown.open(page)
        shown.frame()
        assert shown.evaluate("document.documentElement.scrollWidth") == 390
        assert shown.evaluate("document.querySelectorAll('.try-card').length") == len(NETS)
        assert not shown.evaluate("document.querySelector('img.try-still').checkVisibility()")
        assert [url for url in shown.requests if not url.startswith("data:")] == [page.as_uri()]
        assert shown.errors == []


@needs_browser
@pytest.mark.slow
def test_without_scripts_and_in_print_the_picture_stands_there(page, tmp_path):
    with Browser(tmp_path / "profile") as shown:
        shown.open(page, scripts=False)
        assert shown.evaluate("document.querySelector('.try') === null")
        assert shown.evaluate("document.querySelector('#fig-try img').checkVisibility()")
        shown.open(page)
        shown.frame()
        assert shown.evaluate("document.querySelector('.try').checkVisibility()")
        shown.send("Emulation.setEmulatedMedia", media="print")
        assert shown.evaluate("document.querySelector('img.try-still').checkVisibility()")
        assert not shown.evaluate("document.querySelector('.try').checkVisibility()")
