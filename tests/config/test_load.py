"""The experiment file: what it may hold, and the whole sentence for what it may not."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.base.errors import ConfigError
from harness.config.axes import AxisConfig
from harness.config.experiment import Experiment
from harness.config.load import load_experiment, parse_experiment

MASK_SETTINGS = (
    "network, learns, width, latent, noise, batch_size, real_label, optimiser.learning_rate, "
    "optimiser.beta1, optimiser.beta2, schedule.epochs, augmentation.rotation_deg, "
    "augmentation.flip, augmentation.zoom, augmentation.probability, augmentation.legacy_rotation"
)
MASK_KEYS = (
    "network, learns, width, latent, noise, batch_size, real_label, optimiser, schedule, "
    "augmentation"
)


def complaint(text: str, *overrides: str) -> str:
    with pytest.raises(ConfigError) as caught:
        parse_experiment(text, "try.yaml", overrides)
    return str(caught.value)


def test_a_name_is_enough() -> None:
    assert parse_experiment("name: x", "try.yaml") == Experiment(name="x")


def test_files_of_editors_that_write_a_byte_order_mark_load(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_bytes("name: x\nquestion: größer?\n".encode("utf-8-sig"))
    assert load_experiment(path).question == "größer?"


@pytest.mark.parametrize(
    ("text", "number"),
    [("1e-4", 1e-4), ("1E-4", 1e-4), ("1.e-4", 1e-4), ("+.5e-3", 5e-4), ("3", 3.0), ("0.02", 0.02)],
)
def test_numbers_are_what_they_look_like(text: str, number: float) -> None:
    loaded = parse_experiment(f"name: x\nmask: {{optimiser: {{learning_rate: {text}}}}}", "a")
    assert loaded.mask.optimiser.learning_rate == number


@pytest.mark.parametrize("name", ["no", "on", "2026-11-24", "1_000", "0x1F", "010", "12e"])
def test_words_that_older_yaml_turns_into_something_else_stay_text(name: str) -> None:
    assert parse_experiment(f"name: {name}", "a").name == name


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("mask: {width: 0}", "mask.width must be a whole number >= 1, but got 0"),
        ("mask: {width: 1.5}", "mask.width must be a whole number >= 1, but got 1.5"),
        ("mask: {width: true}", "mask.width must be a whole number >= 1, but got true"),
        ("mask: {width: '64'}", "mask.width must be a whole number >= 1, but got '64'"),
        ("mask: {width: null}", "mask.width must be a whole number >= 1, but got null"),
        ("mask: {real_label: 1.2}", "mask.real_label must be a number in [0, 1], but got 1.2"),
        (
            "segmentation: {augmentation: {scale: 1}}",
            "segmentation.augmentation.scale must be a number in [0, 1), but got 1",
        ),
        ("data: {spacing_mm: .nan}", "data.spacing_mm must be a number > 0, but got NaN"),
        ("data: {spacing_mm: 1e999}", "data.spacing_mm must be a number > 0, but got Infinity"),
        (
            "mask: {noise: norml}",
            "mask.noise must be one of: normal, uniform, but got 'norml'; did you mean 'normal'?",
        ),
        (
            "mask: {augmentation: {flip: yes}}",
            "mask.augmentation.flip must be true or false, but got 'yes'; did you mean true?",
        ),
        ("question: 3", "question must be text, but got 3; put it in quotes"),
        (
            "compute: {threads: 0}",
            "compute.threads must be 'auto' or a whole number >= 1, but got 0",
        ),
        (
            "compute: {precision: bf16}",
            "compute.precision must be one of: auto, float32, bfloat16, but got 'bf16'; "
            "did you mean 'bfloat16'?",
        ),
        ("mask: 3", "mask must be a mapping of settings, but got 3"),
        ("sweep: {mask: 3}", "sweep.mask must be a mapping of settings or null, but got 3"),
        (
            "arms: [none, augmented]",
            "arms[1] must be one of: none, traditional, gan, traditional+gan, duplicate, "
            "real-mask, shuffled, oracle, synthetic-only, pretrain-finetune, but got 'augmented'",
        ),
        (
            "arms: none",
            "arms must be a list of at least 1, each one of: none, traditional, gan, "
            "traditional+gan, duplicate, real-mask, shuffled, oracle, synthetic-only, "
            "pretrain-finetune, but got 'none'; put it in a list: [none]",
        ),
        (
            "dose_response: {synthetic_fraction: [1]}",
            "dose_response.synthetic_fraction[0] must be a number in (0, 1), but got 1",
        ),
        (
            "sweep: {segmentation: {magnitude: [1], synthetic_fraction: [0]}}",
            "sweep.segmentation.synthetic_fraction[0] must be a number in (0, 1), but got 0",
        ),
        (
            "segmentation: {synthetic_fraction: 0.02}",
            "segmentation.synthetic_fraction must leave a pair to either side in every batch, but "
            "got 0.02, which is 0 of the 16 pairs of segmentation.batch_size; take another "
            "fraction or a larger batch",
        ),
        (
            "dose_response: {synthetic_fraction: [0.3, 0.31]}",
            "dose_response.synthetic_fraction must list fractions that differ in whole pairs, but "
            "got 0.3 and 0.31, which is 5 of the 16 pairs of segmentation.batch_size, too; take "
            "others or a larger batch",
        ),
        (
            "data: {structures: []}",
            "data.structures must be a list of at least 1, each text, but got []",
        ),
        (
            "data: {window_hu: [1, 2, 3]}",
            "data.window_hu must be a list of 2, each a number, but got [1, 2, 3]",
        ),
        (
            "data: {phantom: {spacing_mm: [3, -1, 1]}}",
            "data.phantom.spacing_mm[1] must be a number > 0, but got -1",
        ),
        (
            "data: {window_hu: [50, -50]}",
            "data: window_hu must be [low, high] with low < high, but got [50.0, -50.0]",
        ),
        (
            "data: {roles: {validation: 0.5, test: 0.5}}",
            "data.roles: validation and test must leave patients to train (sum below 1), "
            "but got 0.5 and 0.5",
        ),
        (
            "data: {structures: [a, a]}",
            "data.structures: structures must differ, but got ['a', 'a']",
        ),
        (
            "data: {patterns: {a: ['(']}}",
            "data.patterns: each pattern of 'a' must be a regular expression, "
            "but got '(' (missing ), unterminated subpattern at position 0)",
        ),
        (
            "data: {source: dicom}",
            "data.root must name the folder of the patients when data.source is 'dicom', "
            "but got nothing; give it with -s data.root=FOLDER",
        ),
        (
            "decision: {candidate: traditional}",
            "decision: a comparison needs two arms, but got 'traditional' twice",
        ),
        (
            "replicates: {seed: 3}",
            "replicates.seed must be a whole number >= 1000, but got 3",
        ),
        (
            "metrics: {extractor: segmenter}",
            "metrics.extractor must be one that scores during training, but got 'segmenter', which "
            "needs a trained network; name it in metrics.audit_extractors",
        ),
        (
            "metrics: {extractor: torchscript}",
            "metrics.torchscript must be the path of a TorchScript file where an extractor is "
            "'torchscript', but got nothing; give it with -s metrics.torchscript=FILE",
        ),
        (
            "metrics: {audit_extractors: [auto, torchscript]}",
            "metrics.torchscript must be the path of a TorchScript file where an extractor is "
            "'torchscript', but got nothing; give it with -s metrics.torchscript=FILE",
        ),
        (
            "metrics: {audit_extractors: []}",
            "metrics.audit_extractors must be a list of at least 1, each one of: auto, "
            "inception-v3, efficientnet-lite0, torchscript, segmenter, but got []",
        ),
        (
            "metrics: {audit_extractors: [auto, auto]}",
            "metrics.audit_extractors: extractors must differ, but got ['auto', 'auto']",
        ),
        (
            "mask: {batch_sise: 3}",
            f"keys of `mask` must be one of: {MASK_KEYS}; but got 'mask.batch_sise'; "
            "did you mean 'mask.batch_size'?",
        ),
        (
            "data: {limit: {tset: 3}}",
            "keys of `data.limit` must be one of: train, validation, test; "
            "but got 'data.limit.tset'; did you mean 'data.limit.test'?",
        ),
        (
            "mask: {epochs: 3}",
            f"keys of `mask` must be one of: {MASK_KEYS}; but got 'mask.epochs'; "
            "did you mean 'mask.schedule.epochs'?",
        ),
        (
            "pairs: 3",
            "keys of the experiment must be one of: name, question, conclusive, seed, data, mask, "
            "image, synthesis, segmentation, arms, replicates, metrics, sweep, decision, "
            "dose_response, compute, tracking; but got 'pairs'; did you mean 'synthesis.pairs'?",
        ),
    ],
)
def test_each_broken_rule_is_one_sentence(setting: str, said: str) -> None:
    assert complaint(f"name: x\n{setting}") == f"try.yaml, line 2: {said}"


def test_rules_about_several_sections_name_the_file() -> None:
    assert complaint("name: x\narms: [none, gan]") == (
        "try.yaml: decision must name arms that are trained, but got traditional, "
        "traditional+gan; add them to `arms`"
    )


def test_a_missing_name_is_asked_for() -> None:
    assert complaint("seed: 3") == (
        "try.yaml: name must be 1 to 61 letters, digits, '_', '.' and '-', first a letter or "
        "digit, but it is missing; add it"
    )


def test_all_problems_are_said_at_once_each_with_its_line() -> None:
    text = "name: a b\nmask:\n  width: 0\n  latent: many\nimage:\n  batch_size: 1\n  widht: 3\n"
    assert complaint(text, "seed=-1").splitlines() == [
        "try.yaml, line 1: name must be 1 to 61 letters, digits, '_', '.' and '-', first a letter "
        "or digit, but got 'a b'",
        "-s seed: seed must be a whole number >= 0, but got -1",
        "try.yaml, line 3: mask.width must be a whole number >= 1, but got 0",
        "try.yaml, line 4: mask.latent must be a whole number >= 1, but got 'many'",
        "try.yaml, line 7: keys of `image` must be one of: network, width, batch_size, l1_weight, "
        "dropout, statistics, optimiser, schedule; but got 'image.widht'; "
        "did you mean 'image.width'?",
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "try.yaml: the file must be a mapping (`name: ...`), but got nothing"),
        ("- a", 'try.yaml: the file must be a mapping (`name: ...`), but got ["a"]'),
        (
            "name: x\nseed: 1\nname: y",
            "try.yaml, line 3: a key may be given once, but got 'name' again (first on line 1); "
            "keep one of them",
        ),
        (
            "name: x\nmask: {width: 1, width: 2}",
            "try.yaml, line 2: a key may be given once, but got 'width' again (first on line 2); "
            "keep one of them",
        ),
        (
            "name: x\nmask:\n\twidth: 2",
            "try.yaml, line 3: the text must be YAML, but reading stopped: while scanning for the "
            "next token found character '\\t' that cannot start any token; "
            "indent with spaces, not tabs",
        ),
        (
            "name: x\nmask: [1",
            "try.yaml, line 2: the text must be YAML, but reading stopped: while parsing a flow "
            "sequence expected ',' or ']', but got '<stream end>'",
        ),
        (
            "mask: &m {width: 3}\nimage: *m",
            "try.yaml, line 1: the text must be YAML, but reading stopped: an anchor (&), which "
            "experiments do without",
        ),
        (
            "name: !!python/object/apply:os.system [ls]",
            "try.yaml, line 1: the text must be YAML, but reading stopped: a tag (!), which "
            "experiments do without",
        ),
        (
            "name: x\n---\nname: y",
            "try.yaml, line 2: the text must be YAML, but reading stopped: expected a single "
            "document in the stream but found another document",
        ),
        ("name: x\n3: y", "try.yaml, line 2: a key must be text, but got 3"),
        (
            "name: x\n? [a]\n: y",
            "try.yaml, line 2: a key must be text, but got a list or a mapping",
        ),
        (
            "name: x\nseed: \x07",
            "try.yaml, line 2: the text must be printable, but got a character of code 7",
        ),
        ("name: " + "[" * 5000, "try.yaml: settings may be nested 12 deep, but got more"),
        (
            "seed: " + "9" * 5000,
            "try.yaml, line 1: a number may have 400 digits, but got 5000",
        ),
    ],
    ids=lambda text: text[:20],
)
def test_what_is_no_experiment_is_one_sentence(text: str, said: str) -> None:
    assert complaint(text) == said


def test_a_missing_file_is_said_without_its_folder(tmp_path: Path) -> None:
    (tmp_path / "quickstart.yaml").write_text("name: x")
    for name, hint in (
        ("quikstart.yaml", "did you mean 'quickstart.yaml'?"),
        ("z", "check the path"),
    ):
        with pytest.raises(ConfigError) as caught:
            load_experiment(tmp_path / name)
        assert str(caught.value) == (
            f"the experiment must be an existing YAML file, but got '{name}'; {hint}"
        )
    with pytest.raises(ConfigError) as caught:
        load_experiment(tmp_path)
    assert str(caught.value) == (
        f"the experiment must be a readable YAML file, but got '{tmp_path.name}' (Is a directory)"
    )


def test_a_file_in_another_encoding_is_said(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_bytes("name: größe".encode("latin-1"))
    with pytest.raises(ConfigError) as caught:
        load_experiment(path)
    assert str(caught.value) == (
        "a.yaml: the file must be UTF-8 text, but got byte 0xf6 at position 8; save it as UTF-8"
    )


def test_overrides_win_over_the_file_and_later_ones_over_earlier() -> None:
    loaded = parse_experiment(
        "name: x\nmask: {width: 8, latent: 7}",
        "a",
        [
            "mask.width=16",
            "mask.width=32",
            "data.root=~/x=y",
            "arms=[traditional, traditional+gan]",
            "decision.secondary=[]",
            "tracking.uri=null",
            "mask.optimiser.learning_rate=1e-4",
        ],
    )
    assert (loaded.mask.width, loaded.mask.latent) == (32, 7)
    assert loaded.mask.optimiser.learning_rate == 1e-4
    assert loaded.data.root == "~/x=y"
    assert loaded.arms == ("traditional", "traditional+gan")


def test_the_root_is_expanded_where_it_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/somewhere")
    loaded = parse_experiment("name: x\ndata: {source: dicom, root: ~/ct}", "a")
    assert (loaded.data.root, loaded.data.folder) == ("~/ct", Path("/somewhere/ct"))
    assert Experiment(name="x").data.folder is None


def test_an_override_inside_a_mapping_keeps_its_other_entries() -> None:
    loaded = parse_experiment(
        "name: x",
        "a",
        [
            "sweep.mask.space.optimiser.learning_rate.low=1e-6",
            "data.patterns.parotid_left=[OHR_LI]",
        ],
    )
    default = Experiment(name="x")
    assert loaded.sweep.mask is not None
    assert default.sweep.mask is not None
    assert loaded.sweep.mask.space == {
        **default.sweep.mask.space,
        "optimiser.learning_rate": AxisConfig(low=1e-6, high=1e-3, log=True),
    }
    assert loaded.data.patterns["parotid_left"] == ("OHR_LI",)
    assert loaded.data.patterns["parotid_right"] == default.data.patterns["parotid_right"]


@pytest.mark.parametrize("how", ["file", "override"])
def test_a_stage_sweep_given_in_part_keeps_its_default_space(how: str) -> None:
    text = "name: x\nsweep: {image: {trials: 2}}" if how == "file" else "name: x"
    loaded = parse_experiment(text, "a", [] if how == "file" else ["sweep.image.trials=2"])
    default = Experiment(name="x").sweep.image
    assert loaded.sweep.image is not None
    assert default is not None
    assert loaded.sweep.image == default.model_copy(update={"trials": 2})


def test_a_skipped_stage_comes_back_with_an_override() -> None:
    loaded = parse_experiment("name: x\nsweep: {mask: null}", "a", ["sweep.mask.trials=3"])
    assert loaded.sweep.mask is not None
    assert loaded.sweep.mask.trials == 3


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("foo", "an override must read a.b.c=VALUE, but got 'foo'"),
        ("=3", "an override must read a.b.c=VALUE, but got '=3'"),
        (
            "mask.widht=3",
            f"-s mask.widht: keys of `mask` must be one of: {MASK_KEYS}; but got 'mask.widht'; "
            "did you mean 'mask.width'?",
        ),
        (
            "mask.width=[1",
            "-s mask.width, line 1: the text must be YAML, but reading stopped: while parsing a "
            "flow sequence expected ',' or ']', but got '<stream end>'",
        ),
        ("mask.width=", "-s mask.width: mask.width must be a whole number >= 1, but got null"),
        (
            "data.crop.mask_px=300",
            "try.yaml with -s data.crop.mask_px: data.crop: mask_px must not exceed frame_px and "
            "must differ from it by an even number, but got mask_px=300 and frame_px=128",
        ),
        (
            "data.source=openkbp",
            "try.yaml: data.root must name the folder of the patients when data.source is "
            "'openkbp', but got nothing; give it with -s data.root=FOLDER",
        ),
    ],
)
def test_a_wrong_override_is_named_as_it_was_typed(override: str, said: str) -> None:
    assert complaint("name: x", override) == said


@pytest.mark.parametrize(
    ("axis", "said"),
    [
        (
            "batch_sise: {values: [4]}",
            f"sweep.mask.space.batch_sise must name a setting of `mask`, one of: {MASK_SETTINGS}; "
            "but got 'batch_sise'; did you mean 'batch_size'?",
        ),
        (
            "learning_rate: {values: [1e-4]}",
            "sweep.mask.space.learning_rate must name a setting of `mask`, one of: "
            f"{MASK_SETTINGS}; but got 'learning_rate'; did you mean 'optimiser.learning_rate'?",
        ),
        (
            "batch_size: {values: [8, 0]}",
            "sweep.mask.space.batch_size.values[1] must be a whole number >= 1, but got 0",
        ),
        (
            "batch_size: {values: [many]}",
            "sweep.mask.space.batch_size.values[0] must be a whole number >= 1, but got 'many'",
        ),
        (
            "noise: {values: [gaussian]}",
            "sweep.mask.space.noise.values[0] must be one of: normal, uniform, but got 'gaussian'",
        ),
        (
            "real_label: {low: 0.5, high: 1.5}",
            "sweep.mask.space.real_label.high must be a number in [0, 1], but got 1.5",
        ),
        (
            "width: {low: 8, high: 64}",
            "sweep.mask.space.width.integer must be true, for the setting is a whole number >= 1, "
            "but got false",
        ),
        (
            "width: {low: 8.5, high: 64, integer: true}",
            "sweep.mask.space.width.low must be a whole number on such an axis, but got 8.5",
        ),
        (
            "width: {low: 8}",
            "sweep.mask.space.width: an axis needs either `values` or both `low` and `high`",
        ),
        (
            "width: {low: 8, high: 4, integer: true}",
            "sweep.mask.space.width: low must be below high, but got 8.0 and 4.0",
        ),
    ],
)
def test_axes_are_held_to_the_settings_that_they_vary(axis: str, said: str) -> None:
    text = f"name: x\nsweep:\n  mask:\n    space:\n      {axis}"
    assert complaint(text) == f"try.yaml, line 5: {said}"


def test_axes_that_fit_are_taken_as_they_are() -> None:
    loaded = parse_experiment(
        "name: x\nsweep: {image: {space: {statistics: {values: [running, batch-of-one]}, "
        "dropout: {values: [true, false]}, width: {low: 8, high: 64, log: true, integer: true}, "
        "l1_weight: {values: [1, 10.5]}}}}",
        "a",
    )
    assert loaded.sweep.image is not None
    values = {key: axis.values for key, axis in loaded.sweep.image.space.items()}
    assert values == {
        "statistics": ("running", "batch-of-one"),
        "dropout": (True, False),
        "width": None,
        "l1_weight": (1, 10.5),
    }
