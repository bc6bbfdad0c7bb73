"""params.yaml: what is accepted, and the one message for each kind of mistake."""

import numpy as np
import pytest

from stages.shared import params, paths
from stages.shared.architectures import maps
from stages.shared.inference import sign_flip

TEXT = paths.PARAMS.read_text()
SETTINGS = params.load()
DATA_LINE = TEXT[: TEXT.index("\ndata:\n")].count("\n") + 2


def load(text, folder):
    (folder / "params.yaml").write_text(text)
    return params.load(folder / "params.yaml")


def edited(old, new):
    assert TEXT.count(old) >= 1, old
    return TEXT.replace(old, new, 1)


def test_a_variant_is_the_base_with_its_changes_of_architecture_sample_and_recipe():
    five, few = (SETTINGS.variants[key].run for key in ("kernel_5", "cnn_300"))
    assert five.architecture == SETTINGS.architecture.model_copy(update={"kernel": 5})
    assert few.architecture == SETTINGS.architecture
    assert few.sample == SETTINGS.sample.model_copy(update={"seeds": "all", "train_size": 300})
    averaged = SETTINGS.variants["global_average"].run
    assert averaged.recipe == SETTINGS.recipe.model_copy(update={"lr": averaged.recipe.lr})
    assert averaged.recipe != SETTINGS.recipe


def test_a_variant_runs_under_all_or_few_of_the_seeds():
    assert SETTINGS.seeds("cnn") == tuple(range(10))
    assert SETTINGS.seeds("linear") == tuple(range(5))


def test_what_another_protocol_runs_may_be_too_large_for_this_one(tmp_path):
    larger = edited("run: {sample: {layout: patches_2}}", "run: {sample: {train_size: 5001, layout: patches_3}}")
    assert "cnn_patches_2" not in load(larger, tmp_path).active_variants


def test_a_protocol_may_have_its_own_learning_rate_for_a_variant(tmp_path):
    longer = "    longer:\n      times: 4\n"
    settings = load(edited(longer, "    rates: {cnn_permuted: 0.02}\n" + longer), tmp_path)
    assert (
        settings.variants["cnn_permuted"].run.recipe.lr
        == settings.trained_variants["cnn_permuted_longer"].run.recipe.lr
    )
    assert settings.variants["cnn_permuted"].run.recipe.lr == 0.02
    assert settings.variants["cnn"].run.recipe.lr == settings.recipe.lr
    with pytest.raises(
        params.ParamsError, match=r"protocols\.default\.rates: 'lab_mpl' is not one of cnn,.*did you mean"
    ):
        load(edited(longer, "    rates: {lab_mpl: 0.02}\n" + longer), tmp_path)


def test_a_number_may_be_written_as_dvc_reads_it(tmp_path):
    assert load(edited("lr: 0.003", "lr: 1e-3"), tmp_path).recipe.lr == 0.001


MISTAKES = {
    "typo in a key": (
        ("{kernel: 5}", "{kernal: 5}"),
        ["variants.kernel_5.run.architecture.kernal = 5", "did you mean 'kernel'?", "allowed here: connectivity"],
    ),
    "typo in a block": (("recipe:\n", "recipes:\n"), ["recipe: missing", "did you mean 'recipe'?"]),
    "kernel of zero": (
        ("{kernel: 5}", "{kernel: 0}"),
        ["kernel_5.run.architecture.kernel = 0", "a whole number from 1 up to 1000, or [height, width]"],
    ),
    "a setting that a transformer does not read": (
        ("heads: 2, mlp_ratio: 1, positions: none}", "kernel: 5, mlp_ratio: 1, positions: none}"),
        ["attention_without_positions.run.architecture.kernel: has no effect where connectivity is attention;"],
    ),
    "a typo in one layer": (
        ("architecture: {kernel: 7}", "architecture: {layers: [{}, {kernal: 7}]}"),
        [
            "variants.kernel_7.run.architecture.layers.1.kernal = 7",
            "did you mean 'kernel'?",
            "allowed here: connectivity",
        ],
    ),
    "one layer's tile of a convolution": (
        ("architecture: {kernel: 1}", "architecture: {layers: [{}, {tile: 7}]}"),
        ["variants.kernel_1.run.architecture: layer 2: a tile has no effect where connectivity is conv"],
    ),
    "more entries than layers": (
        ("architecture: {kernel: 7}", "architecture: {layers: [{}, {}, {kernel: 7}]}"),
        ["variants.kernel_7.run.architecture: layers has 3 entries, but channels has 2; an entry is a layer"],
    ),
    "number in quotes": (("lr: 0.01", "lr: '1e-3'"), ["recipe.lr = '1e-3'", "without quotes"]),
    "negative lr": (("lr: 0.01", "lr: -1"), ["recipe.lr = -1: should be greater than 0"]),
    "unknown choice": (
        ("pooling: max", "pooling: median"),
        ["architecture.pooling = 'median'", "'max', 'average', 'blur' or 'none'"],
    ),
    "unknown protocol": (
        ("protocol: default", "protocol: defualt"),
        ["protocol: 'defualt' is not one of quick, default,", "did you mean 'default'?"],
    ),
    "undefined alias": (("protocol: default", "protocol: *fast"), ["not valid YAML", "undefined alias 'fast'"]),
    "unknown variant": (
        ("kernel_5, depth_1, stride_2", "kernel_6, depth_1, stride_2"),
        ["protocols.quick.variants: 'kernel_6' is not one of cnn,", "did you mean"],
    ),
    "variant named twice": (
        ("lab_cnn_7, lab_mlp]", "lab_cnn_7, lab_mlp, lab_cnn_7]"),
        ["protocols.replication: variants", "name ['lab_cnn_7'] more than once"],
    ),
    "no variants in a protocol": (
        ("[lab_cnn_3, lab_cnn_5, lab_cnn_7, lab_mlp]", "[]"),
        ["protocols.replication.variants = []: should not be empty"],
    ),
    "unknown baseline": (
        ("baseline: cnn", "baseline: cmn"),
        ["protocols.quick.baseline: 'cmn' is not one of cnn,", "did you mean 'cnn'?"],
    ),
    "baseline that is left out": (
        ("of an hour\n    baseline: cnn", "of an hour\n    baseline: resnet18"),
        ["protocols.default.baseline: protocol 'default' leaves 'resnet18' out"],
    ),
    "unknown family": (
        ("{kernel: 1×1}", "{kernels: 1×1}"),
        ["variants.kernel_1.families: 'kernels' is not one of connectivity"],
    ),
    "reference of another family": (
        ("reference: cnn", "reference: kernel_1"),
        ["families.connectivity.reference is 'kernel_1'"],
    ),
    "empty seeds": (("seeds: [0, 1, 2]\n", "seeds: []\n"), ["protocols.quick.seeds = []: should not be empty"]),
    "more seeds than the sign-flip test takes": (
        ("seeds: [0, 1, 2]\n", f"seeds: {list(range(sign_flip.MAX_SEEDS + 1))}\n"),
        ["protocols.quick: seeds are 41; the sign-flip test takes at most 40"],
    ),
    "no level of a one-sided test": (("alpha: 0.05", "alpha: 0.6"), ["inference: alpha 0.6 should be below 0.5"]),
    "no power": (("power: 0.8", "power: 0.04"), ["inference: power 0.04 should be above alpha 0.05"]),
    "duplicate seed": (
        ("seeds: [0, 1, 2]\n", "seeds: [0, 1, 2, 2]\n"),
        ["protocols.quick: seeds [0, 1, 2, 2] name [2] more than once"],
    ),
    "few seeds that are not among the seeds": (
        ("few_seeds: [0, 1, 2]\n", "few_seeds: [0, 3]\n"),
        ["few_seeds [0, 3] have [3], which seeds [0, 1, 2] lack; comparisons are paired by seed"],
    ),
    "both lengths in a variant": (
        ("train_size: 300}}", "train_size: 300}, recipe: {epochs: 20, steps: 7}}"),
        ["run.recipe: steps 7 and epochs 20 both say how long to train; set one (steps: null, or epochs: protocol)"],
    ),
    "sample larger than the protocol's": (
        ("{seeds: all, seed_offset: 1000}", "{seeds: all, seed_offset: 1000, train_size: 1501}"),
        ["variants.cnn_again.run.sample.train_size = 1501: protocol 'default' prepares 1500 train images"],
    ),
    "shift that would crop, of a variant": (
        ("{seeds: all, seed_offset: 1000}", "{seeds: all, seed_offset: 1000}, recipe: {augment_shift: 3}"),
        [
            "variants.cnn_again.run.recipe.augment_shift = 3: a longer shift than the margin crops the image; "
            "at most 2, the margin of protocol 'default'"
        ],
    ),
    "shift that would crop, of all": (
        ("augment_shift: 0", "augment_shift: 3"),
        ["params.yaml: 1 mistake", "\n  recipe.augment_shift = 3: a longer shift than the margin crops"],
    ),
    "smoothing of a whole label": (
        ("label_smoothing: 0.0", "label_smoothing: 1.0"),
        ["recipe.label_smoothing = 1.0: should be less than 1"],
    ),
    "average that never moves": (("ema_decay: 0.0", "ema_decay: 1"), ["recipe.ema_decay = 1: should be less than 1"]),
    "layout that is not one": (
        ("sample: {seeds: all, layout: permuted}", "sample: {seeds: all, layout: patches4}"),
        [
            "variants.cnn_permuted.run.sample.layout = 'patches4': should be original, permuted, patches_ "
            "and a side (patches_4), or scattered_ and a reach (scattered_6), in pixels"
        ],
    ),
    "patches that do not tile": (
        ("sample: {seeds: all, layout: permuted}", "sample: {seeds: all, layout: patches_5}"),
        ["variants.cnn_permuted.run.sample.layout = 'patches_5': patches of 5 do not tile 28×28 images"],
    ),
    "typo in a sample": (
        ("{train_size: 1000}", "{train_sise: 1000}"),
        ["variants.cnn_1000.run.sample.train_sise = 1000", "did you mean 'train_size'?"],
    ),
    "matched quantity that is not one": (
        ("matched: {macs: cnn, rec", "matched: {mac: cnn, rec"),
        ["variants.locally_connected.matched.mac = 'mac'", "'parameters', 'macs' or 'receptive_field'"],
    ),
    "matched with a variant that is not there": (
        ("matched: {macs: cnn, rec", "matched: {macs: cmn, rec"),
        ["variants.locally_connected.matched.macs: 'cmn' is not one of cnn,", "did you mean 'cnn'?"],
    ),
    "matched with itself": (
        ("matched: {macs: cnn, rec", "matched: {macs: locally_connected, rec"),
        ["connected.matched.macs names the variant itself"],
    ),
    "a convolutional net without a layer": (
        ("channels: [32], reduce_at: [1], pool_size: 4", "channels: [], reduce_at: []"),
        ["variants.depth_1.run.architecture: channels is empty, but a net with connectivity conv needs a layer"],
    ),
    "hidden layers where the head has none": (
        ("fully_connected, channels: []", "fully_connected, channels: [], hidden: [8]"),
        ["variants.linear.run.architecture.hidden: has no effect where connectivity is fully_connected"],
    ),
    "variant without a run": (
        ("run: {sample: {seeds: all}}", "run:"),
        ["variants.cnn.run = None: should be a mapping"],
    ),
    "badly named variant": (("  kernel_1:", "  Kernel 1:"), ["should be lower-case words joined by _"]),
    "key that is a number": (("  kernel_1:", "  3:"), ["the key 3 must be text"]),
    "change that has no effect": (
        ("channels: [256, 128]", "channels: [256], kernel: 3"),
        ["kernel: has no effect where connectivity is fully_connected"],
    ),
    "pooling at a layer that is not there": (
        ("channels: [16, 32, 32]}", "channels: [16, 32, 32], reduce_at: [1, 4]}"),
        ["names layer 4, but channels has 3"],
    ),
    "a feature map that vanishes": (
        ("architecture: {kernel: 1}", "architecture: {channels: [8, 8, 8, 8, 8, 8], reduce_at: [1, 2, 3, 4, 5, 6]}"),
        ["variants.kernel_1.run.architecture: layer 6: the feature map vanishes (1×1 → 0×0)"],
    ),
    "reflection wider than the map": (
        ("architecture: {kernel: 1}", "architecture: {padding: reflect, kernel: 65}"),
        ["variants.kernel_1.run.architecture: layer 1: reflect padding of 32 pixels"],
    ),
    "file without npz": (("file: null", "file: mine.npz"), ["'mine.npz' is only for dataset npz"]),
    "npz without file": (("dataset: fashion_mnist", "dataset: npz"), ["dataset npz needs `file`"]),
    "path out of the folder": (("file: null", "file: ../x.npz"), ["'../x.npz' is only for dataset npz"]),
    "size without folder": (
        ("size: null", "size: 9"),
        ["size 9 is only for dataset folder (dataset is 'fashion_mnist'"],
    ),
    "folder without its name": (("dataset: fashion_mnist", "dataset: folder"), ["dataset folder needs `folder`"]),
    "key written twice": (("data:\n", "data:\n  dataset: mnist\n"), ["duplicate key", f"line {DATA_LINE + 2}"]),
    "not yaml": (("data:\n", "data: [\n"), ["not valid YAML"]),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistake_ends_in_one_message_that_names_key_value_and_what_is_allowed(name, tmp_path):
    (old, new), expected = MISTAKES[name]
    with pytest.raises(params.ParamsError) as error:
        load(edited(old, new), tmp_path)
    for part in expected:
        assert part in str(error.value)


def test_several_mistakes_are_listed_together_and_those_of_the_base_once(tmp_path):
    with pytest.raises(params.ParamsError, match="2 mistakes") as error:
        load(edited("lr: 0.01", "lr: -1").replace("kernel: 3 #", "kernel: 0 #", 1), tmp_path)
    assert str(error.value).count("kernel = 0") == str(error.value).count("lr = -1") == 1


def user_data(**change):
    return params.Data(**(SETTINGS.data.model_dump() | change))


@pytest.mark.parametrize(
    ("shape", "expected"), [((5, 6, 7), (1, 10, 11)), ((5, 6, 7, 3), (3, 10, 11)), ((5, 1, 40), (1, 1, 44))]
)
def test_the_canvas_of_a_users_file_is_told_from_its_header(shape, expected, tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "USER", tmp_path)
    np.savez(tmp_path / "mine.npz", images=np.zeros(shape, np.uint8), labels=np.zeros(5, int))
    data = user_data(dataset="npz", file="mine.npz")
    assert params.image_shape(SETTINGS.model_copy(update={"data": data})) == expected


@pytest.mark.parametrize("name", ["../x.npz", "/x.npz", "..", "a/b.npz", "x.txt"])
def test_a_file_of_the_users_lies_in_data_user(name):
    with pytest.raises(ValueError, match=r"must be the name of (your|an) \.npz"):
        user_data(dataset="npz", file=name)


def test_images_with_their_channels_first_are_left_for_the_download_to_name(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "USER", tmp_path)
    np.savez(tmp_path / "mine.npz", images=np.zeros((5, 3, 32, 32), np.uint8), labels=np.zeros(5, int))
    data = user_data(dataset="npz", file="mine.npz")
    assert params.image_shape(SETTINGS.model_copy(update={"data": data})) is None, "it is no image of 32 channels"


@pytest.mark.parametrize("spoil", [b"\xff" * 9, b""], ids=["bytes of no deflate", "cut off"])
def test_a_damaged_file_is_left_for_the_download_to_name(spoil, tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "USER", tmp_path)
    np.savez_compressed(tmp_path / "mine.npz", images=np.zeros((5, 6, 7), np.uint8), labels=np.zeros(5, int))
    content = (tmp_path / "mine.npz").read_bytes()
    start = content.index(b"images.npy") + len(b"images.npy")
    spoilt = content[:start] + 20 * spoil + content[start + 20 * len(spoil) :] if spoil else content[:start]
    (tmp_path / "mine.npz").write_bytes(spoilt)
    data = user_data(dataset="npz", file="mine.npz")
    assert params.image_shape(SETTINGS.model_copy(update={"data": data})) is None


@pytest.mark.parametrize(
    ("colour", "size", "expected"),
    [("rgb", None, (3, 10, 8)), ("grey", [20, 30], (1, 24, 34)), ("rgb", 9, (3, 13, 13))],
)
def test_the_canvas_of_a_folder_is_told_by_its_size_or_its_first_image(colour, size, expected, tmp_path, monkeypatch):
    from PIL import Image

    monkeypatch.setattr(paths, "USER", tmp_path)
    (tmp_path / "mine" / "cat").mkdir(parents=True)
    turned = Image.Exif()
    turned[0x0112] = 6  # lies on its side
    Image.new("L", (6, 4)).save(tmp_path / "mine" / "cat" / "a.jpg", exif=turned)
    (tmp_path / "mine" / "cat" / "0.txt").write_text("no image")
    (tmp_path / "mine" / ".thumbs").mkdir()
    Image.new("L", (3, 3)).save(tmp_path / "mine" / ".thumbs" / "t.png")  # hidden, and so passed over
    size = tuple(size) if isinstance(size, list) else size
    data = user_data(dataset="folder", folder="mine", colour=colour, size=size)
    assert params.image_shape(SETTINGS.model_copy(update={"data": data})) == expected


def test_a_variant_that_the_protocol_does_not_train_may_not_fit_the_images(tmp_path):
    text = edited("architecture: {padding: valid}", "architecture: {padding: valid, kernel: 99}")
    load(text, tmp_path)
    with pytest.raises(
        params.ParamsError, match=r"variants\.padding_valid\.run\.architecture: layer 1: the feature map vanishes"
    ):
        load(text.replace("protocol: default", "protocol: quick"), tmp_path)


def test_map_sizes_by_hand():
    spec = SETTINGS.architecture.model_copy(
        update={"padding": "valid", "kernel": (3, 5), "stride": 2, "pooling": "none", "reduce_at": (2,)}
    )
    # 20×21: valid (3, 5) → 18×17; again → 16×13, of which every second → 8×7
    assert maps.map_sizes(spec, (1, 20, 21)) == [(18, 17), (8, 7)]
