"""Every rule about a setting, and the whole sentence for what breaks it."""

from __future__ import annotations

import pytest
from config_complaint import MASK_KEYS, complaint


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        (
            "data: {phantom: {patients: 10001}}",
            "data.phantom.patients must be a whole number in [1, 10000] (each takes a second or "
            "more, and 2 MB), but got 10001",
        ),
        (
            "data: {phantom: {slices: 1001}}",
            "data.phantom.slices must be a whole number in [1, 1000], but got 1001",
        ),
        ("privacy: {shared: 1}", "privacy.shared must be true or false, but got 1"),
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
            "real-mask, longer, shuffled, oracle, synthetic-only, pretrain-finetune; or "
            "[traditional+]FILLING[:only|:first|:added] with a filling of: nothing, real, "
            "real-again, exchanged-labels, fresh-phantoms, gan, gan-on-real-masks, "
            "but got 'augmented'; if a package adds it, install that package",
        ),
        (
            "arms: [traditional+gam]",
            "arms[0] must be one of: none, traditional, gan, traditional+gan, duplicate, "
            "real-mask, longer, shuffled, oracle, synthetic-only, pretrain-finetune; or "
            "[traditional+]FILLING[:only|:first|:added] with a filling of: nothing, real, "
            "real-again, exchanged-labels, fresh-phantoms, gan, gan-on-real-masks, "
            "but got 'traditional+gam'; did you mean 'traditional+gan'?",
        ),
        (
            "arms: none",
            "arms must be a list of at least 1, each one of: none, traditional, gan, "
            "traditional+gan, duplicate, real-mask, longer, shuffled, oracle, synthetic-only, "
            "pretrain-finetune; or [traditional+]FILLING[:only|:first|:added] with a filling of: "
            "nothing, real, real-again, exchanged-labels, fresh-phantoms, gan, gan-on-real-masks, "
            "but got 'none'; put it in a list: [none]",
        ),
        (
            "dose_response: {synthetic_fraction: [1]}",
            "dose_response.synthetic_fraction[0] must be a number in (0, 1), but got 1",
        ),
        (
            "sweep: {segmentation: {space: {synthetic_fraction: {values: [0]}}}}",
            "sweep.segmentation.space.synthetic_fraction.values must leave a pair to either side "
            "in every batch, but got 0, which is 0 of the 16 pairs of segmentation.batch_size; "
            "take another fraction or a larger batch",
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
            "data: {structures: [parotid_left, parotid_right, mandible]}",
            "data.structures must be one structure, or the left and the right one of a pair "
            "(parotid_left, parotid_right), but got parotid_left, parotid_right, mandible: a frame "
            "has the mask of one structure, and others in it would be labelled as nothing; write "
            "an experiment for each",
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
            "data: {root: patients}",
            "data.root must be left out when data.source is 'phantom', whose patients are made up, "
            "but got a folder; say what lies in it with -s data.source=dicom (or images, openkbp), "
            "or leave it out with -s data.root=null",
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
            "data: {exclude: {p1: ' '}}",
            "data.exclude: each patient needs a reason, but got none for 'p1'",
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
            "learning_curve, dose_response, compute, legacy, observations, tracking, privacy; "
            "but got 'pairs'; did you mean 'synthesis.pairs'?",
        ),
        (
            "decision: {looks: [8, 5]}",
            "decision.looks must be two or more growing numbers of replicates from 5 on, but got "
            "8, 5; name e.g. 5, 8, 10",
        ),
        (
            "decision: {looks: [5, 8]}",
            "decision.looks must end with replicates.count, 5, but got 5, 8; change one",
        ),
        (
            "decision: {looks: [5, 8]}\nreplicates: {count: 8, cohorts: disjoint}",
            "decision.looks go with replicates of one cohort and without further doses, but got "
            "replicates.cohorts too: the two were never tried together; remove one",
        ),
        (
            "decision: {looks: [5, 8], co_primary: {hd95_mm: 1}}\nreplicates: {count: 8}",
            "decision.looks go with one primary measure, but got decision.co_primary too: the two "
            "were never tried together; remove one",
        ),
        (
            "decision: {co_primary: {dice: 0.01}}",
            "decision.co_primary must name other measures than decision.measure, but got 'dice'; "
            "remove it",
        ),
        (
            "decision: {co_primary: {surface_dice: 2}}",
            "decision.co_primary.surface_dice must be below 1 for surface Dice, which lies in 0 to "
            "1, but got 2; set it to the smallest difference that matters",
        ),
        (
            "decision: {margin: 5}",
            "decision.margin must be below 1 for Dice, which lies in 0 to 1, but got 5; set it to "
            "the smallest difference that matters",
        ),
        (
            "dose_response: {patients: [5]}",
            "keys of `dose_response` must be one of: synthetic_fraction; but got "
            "'dose_response.patients'; did you mean 'data.phantom.patients' or 'mask.patients' "
            "or 'image.patients' or 'learning_curve.patients'?",
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
        "try.yaml, line 7: keys of `image` must be one of: network, batch_size, optimiser, "
        "schedule, patients, width, l1_weight, dropout, statistics; but got 'image.widht'; "
        "did you mean 'image.width'?",
    ]
