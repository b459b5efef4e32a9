"""Which settings move which digests: every setting of an experiment, and nothing left out."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from harness.compare.protocol import Comparison
from harness.compare.replicate import ReplicatePlanner
from harness.config.arms import NAMED, arm_of
from harness.config.experiment import Experiment, to_dict
from harness.config.load import load_experiment
from harness.config.render import sanitised
from harness.config.schema import settings
from harness.data.roles import assign_roles
from harness.jobs.kinds import KINDS
from harness.jobs.spec import Spec
from harness.work.specs import Specs

# --- every kind of job of one replicate -----------------------------------------------------------

ADDED = "traditional+gan:added"
ARMS = (*NAMED, ADDED)
PATIENTS = {f"{n:024x}": ("train", "train", "validation", "test")[n % 4] for n in range(24)}
CPU = {"device": "cpu", "precision": "float32", "threads": 1}


def specs_of(experiment: Experiment) -> Specs:
    """Builds specs as a session does, `auto` resolved as on one fixed machine."""
    asked = to_dict(experiment.compute)
    compute = {k: CPU[k] if asked[k] == "auto" else asked[k] for k in CPU}
    name = experiment.metrics.extractor
    name = "efficientnet-lite0" if name == "auto" else name
    entry = {"name": name, "weights": f"weights of {name}"}
    auditors = tuple({"name": word} for word in experiment.metrics.audit_extractors)
    return Specs(experiment, compute, entry, auditors)


def jobs(experiment: Experiment) -> dict[str, Spec]:
    """The specs of one replicate's chain by what they are for; the opening names all arms."""
    data = experiment.data
    roles = assign_roles(PATIENTS, data.roles, data.limit)
    specs = specs_of(experiment)
    store, seed = specs.prepare(roles), experiment.replicates.seed
    masks, images = (
        specs.training(store, settings, seed) for settings in (experiment.mask, experiment.image)
    )
    mask, image = masks.last, images.last
    last_mask, last_image = masks.epochs, images.epochs
    synthesis = specs.synthesis(store, mask.done(last_mask), image.done(last_image), seed)
    made = {
        "gan": synthesis,
        "gan-on-real-masks": specs.synthesis_on_real_masks(store, image.done(last_image), seed),
        "fresh-phantoms": specs.fresh(store),
    }
    arms = {arm: specs.segmenter(store, arm, made.get(arm_of(arm).filling), seed) for arm in ARMS}
    trained = {
        f"{arm}/{seed}": spec.done(specs.experiment.segmentation.epochs)
        for arm, spec in arms.items()
    }
    comparison = Comparison(
        ReplicatePlanner(specs, store, experiment.mask, experiment.image), roles
    )
    opening = specs.opening(store, trained, comparison.rule())
    return {
        "prepare": store,
        "mask-stage": mask,
        "image-stage": images.steady,
        **({"image-decay": images.decay} if images.decay else {}),
        "diversity": specs.diversity(store, experiment.mask.shows),
        "mask-score": specs.score(store, experiment.mask, mask, last_mask),
        "image-score": specs.score(store, experiment.image, image, last_image),
        **{
            f"image-test {test.words}": specs.image_test(
                store,
                image.done(last_image),
                mask.done(last_mask) if experiment.legacy.makes_masks else None,
                test,
                seed,
            )
            for test in experiment.legacy.tests
        },
        **made,
        "baseline": specs.real_baseline(store, "ct", specs.extractor, None),
        "audit": specs.audit(
            store, synthesis, image.done(last_image), trained[f"none/{seed}"], seed
        ),
        "calibration": specs.calibration(store, "collapse", "mask", 100, 200),
        **{f"segmenter {arm}": spec for arm, spec in arms.items()},
        "opening": opening,
        "test-score": specs.test_score(store, trained[f"none/{seed}"], opening),
        "validation-score": specs.validation_score(store, trained[f"none/{seed}"]),
    }


# --- what may move --------------------------------------------------------------------------------

NONE: set[str] = set()
TEST = {"opening", "test-score"}
GAN_ARMS = {f"segmenter {name}" for name in ARMS if arm_of(name).filling == "gan"}
PLAIN = {"segmenter none", "segmenter gan"}
AUGMENTED = {f"segmenter {arm}" for arm in ARMS} - PLAIN | TEST
PRETRAINED = {"segmenter pretrain-finetune"} | TEST
UNMIXED = {"segmenter pretrain-finetune", "segmenter synthetic-only"}
SYNTHESIS_ON_REAL_MASKS = {"gan-on-real-masks", "segmenter real-mask"} | TEST
FRESH = {"fresh-phantoms", "segmenter oracle"} | TEST
SEGMENTERS = {f"segmenter {arm}" for arm in ARMS} | TEST | {"audit", "validation-score"}
AUDIT = {"audit"}
SYNTHESIS = {"gan"} | GAN_ARMS | TEST | AUDIT
MASK_LENGTH = {"mask-score"} | SYNTHESIS
MASK = {"mask-stage"} | MASK_LENGTH
IMAGE_LENGTH = {"image-decay", "image-score"} | SYNTHESIS | SYNTHESIS_ON_REAL_MASKS
IMAGE = {"image-stage"} | IMAGE_LENGTH
SCORES = {"mask-score", "image-score"}
MEASURED = SCORES | {"diversity", "baseline"} | AUDIT
TRAINED = MASK | IMAGE | SEGMENTERS
COMPUTED = TRAINED | {"baseline"}
ALL = {"prepare", "diversity", "calibration", "fresh-phantoms"} | COMPUTED

ONE_CHOICE = object()
"""There is no other value."""

# Setting -> another value, digests that move. Patients enter `prepare` by content and role, so what
# makes, finds or names them moves digests through what was found, never by itself.
TABLE: dict[str, tuple[Any, set[str]]] = {
    "name": ("other", NONE),
    "question": ("Another question?", NONE),
    "conclusive": (False, NONE),
    "seed": (1, TRAINED),
    "data.source": ("openkbp", NONE),
    "data.root": ("/elsewhere", NONE),
    "data.phantom.patients": (13, FRESH),
    "data.phantom.seed": (1, FRESH),
    "data.phantom.slices": (25, FRESH),
    "data.phantom.spacing_mm": ([2.0, 1.0, 1.0], FRESH),
    "data.dicom.series": ("(?i)planning", NONE),
    "data.dicom.structure_sets": ("(?i)final", NONE),
    "data.dicom.trust_positions": (True, NONE),
    "data.dicom.overlap": ("union", NONE),
    "data.images.layout": ("pddca", NONE),
    "data.images.image": ("^scan$", NONE),
    "data.images.labels": ({"parotid_left": 1}, NONE),
    "data.images.observer": ("radiographer", NONE),
    "data.images.nifti_form": ("qform", NONE),
    "data.images.patient_pattern": ("^(.*)[ab]$", NONE),
    "data.structures": (["parotid_left"], ALL),
    "data.patterns": ({"parotid_left": ["^left$"]}, NONE),
    "data.mirror": (False, ALL),
    "data.roles.by": ("source", ALL),
    "data.roles.validation": (0.3, ALL),
    "data.roles.test": (0.2, ALL),
    "data.roles.seed": (1, ALL),
    "data.limit.train": (3, ALL),
    "data.limit.validation": (1, ALL),
    "data.limit.test": (3, ALL),
    "data.exclude": ({"p1": "why"}, NONE),  # who has a role is known before
    "data.without_structures": (["pt_9"], NONE),
    "data.window_hu": ([-300.0, 200.0], ALL),
    "data.legacy_scaling": (True, ALL),
    "data.spacing_mm": (1.5, ALL),
    "data.crop.placement": ("fixed", ALL),
    "data.crop.fixed_row": (100, NONE),  # read under `placement: fixed` alone
    "data.crop.fixed_column": (100, NONE),
    "data.crop.frame_px": (256, ALL),
    "data.crop.mask_px": (ONE_CHOICE, ALL),  # of the built-in mask network
    "data.background_slice_fraction": (0.2, ALL),
    "mask.network": (ONE_CHOICE, MASK),
    "mask.patients": (2, MASK),
    "mask.learns": ("ct", MASK | {"diversity"}),
    "mask.width": (32, MASK),
    "mask.latent": (50, MASK),
    "mask.noise": ("uniform", MASK),
    "mask.batch_size": (16, MASK),
    "mask.real_label": (0.9, MASK),
    "mask.optimiser.learning_rate": (1e-4, MASK),
    "mask.optimiser.beta1": (0.6, MASK),
    "mask.optimiser.beta2": (0.99, MASK),
    "mask.schedule.epochs": (200, MASK_LENGTH),  # not the lineage: its rate is constant
    "mask.augmentation.rotation_deg": (10.0, MASK),
    "mask.augmentation.flip": (True, MASK),
    "mask.augmentation.zoom": ([0.8, 1.2], MASK),
    "mask.augmentation.probability": (0.4, MASK),
    "mask.augmentation.legacy_rotation": (True, MASK),
    "image.network": (ONE_CHOICE, IMAGE),
    "image.patients": (2, IMAGE),
    "image.width": (32, IMAGE),
    "image.batch_size": (1, IMAGE),
    "image.l1_weight": (10.0, IMAGE),
    "image.dropout": (False, IMAGE),
    "image.statistics": ("batch-of-one", IMAGE),
    "image.optimiser.learning_rate": (1e-4, IMAGE),
    "image.optimiser.beta1": (0.6, IMAGE),
    "image.optimiser.beta2": (0.99, IMAGE),
    "image.schedule.epochs": (200, IMAGE_LENGTH),
    "image.schedule.decay": (False, IMAGE_LENGTH),
    "synthesis.pairs": (100, SYNTHESIS | SYNTHESIS_ON_REAL_MASKS | FRESH),
    "synthesis.threshold": (0.1, SYNTHESIS | {"mask-score"}),
    "synthesis.tolerance": (0.5, SYNTHESIS),
    "synthesis.attempts": (5, SYNTHESIS),
    "synthesis.clean": (False, SYNTHESIS),
    "segmentation.network": (ONE_CHOICE, SEGMENTERS),
    "segmentation.channels": ([8, 16], SEGMENTERS),
    "segmentation.residual_units": (1, SEGMENTERS),
    "segmentation.batch_size": (8, SEGMENTERS),
    "segmentation.synthetic_fraction": (0.25, SEGMENTERS - UNMIXED),
    "segmentation.structure_share": (0.5, SEGMENTERS),
    "segmentation.synthetic_weight": (0.5, {f"segmenter {ADDED}"} | TEST),
    "segmentation.updates": (1000, SEGMENTERS),
    "segmentation.updates_per_epoch": (50, SEGMENTERS),
    "segmentation.learning_rate": (1e-4, SEGMENTERS),
    "segmentation.neighbours": (1, SEGMENTERS),
    "segmentation.neighbour_dropout": (0.25, SEGMENTERS),
    "segmentation.augmentation.magnitude": (0.5, AUGMENTED),
    "segmentation.augmentation.probability": (0.4, AUGMENTED),
    "segmentation.augmentation.rotation_deg": (10.0, AUGMENTED),
    "segmentation.augmentation.flip": (True, AUGMENTED),
    "segmentation.augmentation.scale": (0.1, AUGMENTED),
    "segmentation.augmentation.shear_deg": (4.0, AUGMENTED),
    "segmentation.augmentation.shift_px": (3.0, AUGMENTED),
    "segmentation.augmentation.elastic_px": (1.0, AUGMENTED),
    "segmentation.augmentation.noise": (0.1, AUGMENTED),
    "segmentation.augmentation.intensity": (0.1, AUGMENTED),
    "segmentation.augmentation.contrast": (0.1, AUGMENTED),
    "segmentation.augmentation.gamma": (0.1, AUGMENTED),
    "segmentation.augmentation.blur_px": (0.5, AUGMENTED),
    "segmentation.augmentation.low_resolution": (0.1, AUGMENTED),
    "segmentation.pretrain.updates_fraction": (0.25, PRETRAINED),
    "segmentation.pretrain.patients_fraction": (0.5, PRETRAINED),
    "arms": (["none", "traditional", "gan", "traditional+gan"], TEST),
    "replicates.count": (6, TEST),
    "replicates.seed": (2000, TRAINED),
    "replicates.cohorts": ("drawn", TEST),
    "replicates.cohort_size": (3, TEST),
    "metrics.extractor": ("inception-v3", SCORES | {"baseline"}),
    "metrics.audit_extractors": (["auto"], AUDIT),
    "metrics.inception_weights": ("/elsewhere/weights.pth", NONE),  # the weights' digest enters
    "metrics.torchscript": ("/elsewhere/network.pt", NONE),  # the file's stem and digest enter
    "metrics.images": (100, MEASURED),
    "metrics.scored_epochs": (5, NONE),
    "sweep.seeds": (5, NONE),
    "sweep.seed": (1, NONE),
    "sweep.sampler": ("random", NONE),
    "sweep.prune": (True, NONE),
    "sweep.budget.hours": (1.0, NONE),
    "sweep.budget.device_hours": (1.0, NONE),
    "sweep.stop_on": (
        ["convergence failure"],
        NONE,
    ),  # of sweeps alone: the planner's specs have it
    "sweep.trials_per_batch": (2, NONE),
    "sweep.storage": ("postgresql://host/database", NONE),
    "sweep.mask.trials": (9, NONE),
    "sweep.mask.space": ({"batch_size": {"values": [4]}}, NONE),
    "sweep.mask.objective": ("quality/fid", NONE),
    "sweep.mask.direction": ("maximize", NONE),
    "sweep.mask.further_objectives": ({"quality/fid": "minimize"}, NONE),
    "sweep.image.trials": (9, NONE),
    "sweep.image.space": ({"batch_size": {"values": [4]}}, NONE),
    "sweep.image.objective": ("quality/fid", NONE),
    "sweep.image.direction": ("maximize", NONE),
    "sweep.image.further_objectives": ({"quality/fid": "minimize"}, NONE),
    "decision.budget_seeds": (3, TEST),
    "sweep.segmentation.candidates": (3, NONE),
    "sweep.segmentation.space": ({"learning_rate": {"values": [0.002]}}, NONE),
    "learning_curve.patients": ([2], TEST),
    "learning_curve.arms": (["none"], TEST),
    "learning_curve.cohorts": (2, TEST),
    "dose_response.synthetic_fraction": ([0.25], TEST),
    "decision.question": ("add", TEST),
    "decision.baseline": ("none", TEST),
    "decision.candidate": ("gan", TEST),
    "decision.secondary": ([], TEST),
    "decision.measure": ("hd95_mm", TEST),
    "decision.margin": (0.02, TEST),
    "decision.subgroups": (["small"], TEST),
    "decision.subgroups_file": ("/elsewhere/groups.csv", NONE),  # the groups in it enter the rule
    "decision.co_primary": ({"surface_dice": 0.02}, TEST),
    "decision.success": ("any", TEST),
    "decision.looks": ([5, 8], TEST),
    "decision.looked_at": (1, TEST),
    "decision.assumed.patient": (0.03, NONE),
    "decision.assumed.replicate": (0.01, NONE),
    "decision.assumed.residual": (0.03, NONE),
    "legacy.outline_filled": (True, ALL),
    "legacy.last_structure_wins": (True, ALL),
    "legacy.resize_before_crop": (True, ALL),
    "legacy.stage_two": ([{"dropout": True}], {"image-test size x 2"}),
    "legacy.masks": (["train", "raw"], {"image-test as trained", "image-test size x 2"}),
    "observations": (
        [{"says": "x", "stage": "mask", "score": "quality/kid", "than_value": 0.1}],
        NONE,
    ),
    "compute.device": ("cuda", COMPUTED),
    "compute.precision": ("bfloat16", COMPUTED),
    "compute.threads": (2, COMPUTED),
    "tracking.enabled": (False, NONE),
    "tracking.uri": ("http://localhost:5000", NONE),
    "tracking.sample_grids": (3, NONE),
    "privacy.shared": (True, NONE),
    "privacy.roi_names": (True, NONE),
}

# What else must be said for a value to be valid.
TOGETHER: dict[str, dict[str, Any]] = {
    "segmentation.neighbour_dropout": {"segmentation.neighbours": 1},
    "learning_curve.arms": {"learning_curve.patients": [2]},
    "learning_curve.cohorts": {"learning_curve.patients": [2]},
    "replicates.cohort_size": {"replicates.cohorts": "drawn"},
    "data.source": {"data.root": "/somewhere", "data.source": "dicom"},
    "data.root": {"data.root": "/somewhere", "data.source": "dicom"},
    "decision.looks": {"replicates.count": 8},
    "legacy.stage_two": {"legacy.stage_two": [{"scale": 2}]},
    "legacy.masks": {"legacy.stage_two": [{"scale": 2}]},
    "decision.question": {
        "arms": ["traditional", "traditional+gan", "gan", "traditional+nothing", ADDED]
    },
}
BASE: dict[str, Any] = {"name": "base"}


def experiment_with(values: dict[str, Any]) -> Experiment:
    tree = to_dict(Experiment.model_validate(BASE))
    for path, value in values.items():
        *sections, last = path.split(".")
        place = tree
        for section in sections:
            place = place[section]
        place[last] = value
    return Experiment.model_validate(tree)


def digests(**values: Any) -> dict[str, str]:
    return {name: spec.digest for name, spec in jobs(experiment_with(values)).items()}


def moved(before: dict[str, str], after: dict[str, str]) -> set[str]:
    return {name for name in before if before[name] != after.get(name)}


def test_the_table_has_every_setting() -> None:
    there = {path for path, _ in settings(Experiment)}
    new, gone = sorted(there - TABLE.keys()), sorted(TABLE.keys() - there)
    assert not new, f"say in TABLE which digests these new settings move: {', '.join(new)}"
    assert not gone, f"TABLE has settings that are no more: {', '.join(gone)}"


@pytest.mark.parametrize("path", TABLE)
def test_a_setting_moves_what_depends_on_it_and_nothing_else(path: str) -> None:
    value, expected = TABLE[path]
    given = TOGETHER.get(path, {})
    if value is ONE_CHOICE:
        with pytest.raises(ValidationError):
            experiment_with({path: "another"})
        return
    before, after = digests(**given), digests(**{**given, path: value})
    assert to_dict(experiment_with({**given, path: value})) != to_dict(experiment_with(given))
    assert moved(before, after) == expected


# --- settings whose weight depends on another -----------------------------------------------------


def test_a_fixed_centre_counts_where_it_is_used() -> None:
    fixed = {"data.crop.placement": "fixed"}
    for path in ("data.crop.fixed_row", "data.crop.fixed_column"):
        assert moved(digests(**fixed), digests(**fixed, **{path: 7})) == ALL


def test_without_a_decay_the_length_is_no_part_of_the_image_lineage() -> None:
    steady = {"image.schedule.decay": False}
    longer = digests(**steady, **{"image.schedule.epochs": 400})
    assert moved(digests(**steady), longer) == IMAGE_LENGTH - {"image-decay"}


def test_trainings_that_decay_share_the_phase_before() -> None:
    assert moved(digests(), digests(**{"image.schedule.epochs": 30})) == IMAGE_LENGTH


def test_a_stage_that_learns_ct_has_no_threshold_to_score_with() -> None:
    ct = {"mask.learns": "ct"}
    assert moved(digests(**ct), digests(**ct, **{"synthesis.threshold": 0.1})) == SYNTHESIS


def test_prepare_depends_on_who_has_which_role_and_not_on_their_order() -> None:
    specs = specs_of(experiment_with({}))
    some = {"a" * 24: "train", "b" * 24: "test"}
    assert specs.prepare(some).digest == specs.prepare(dict(reversed(some.items()))).digest
    assert specs.prepare(some).digest != specs.prepare({**some, "b" * 24: "validation"}).digest


def test_other_patients_move_everything() -> None:
    experiment = experiment_with({})
    specs = specs_of(experiment)
    stores = [specs.prepare({"a" * 24: "train"}), specs.prepare({"c" * 24: "train"})]
    trainings = [specs.stage(store, experiment.mask, 0) for store in stores]
    assert stores[0].digest != stores[1].digest
    assert trainings[0].digest != trainings[1].digest


def test_other_weights_of_the_extractor_move_the_scores() -> None:
    specs = specs_of(experiment_with({}))
    other = replace(specs, extractor={**specs.extractor, "weights": "others"})
    replicate = jobs(specs.experiment)
    for kind in ("mask-score", "image-score"):
        training = replicate[kind.replace("score", "stage")]
        settings = getattr(specs.experiment, kind.removesuffix("-score"))
        one, two = (
            s.score(replicate["prepare"], settings, training, 5).digest for s in (specs, other)
        )
        assert one != two


def test_a_higher_recipe_moves_the_digest() -> None:
    for spec in jobs(experiment_with({})).values():
        assert spec.recipe == KINDS.get(spec.kind).recipe
        assert replace(spec, recipe=spec.recipe + 1).digest != spec.digest


# --- seeds and sharing ----------------------------------------------------------------------------


def test_seeds_have_streams_of_their_own() -> None:
    experiment = experiment_with({})
    specs = specs_of(experiment)
    store = jobs(experiment)["prepare"]
    roots = {specs.stage(store, experiment.mask, seed).seed for seed in range(1200)}
    assert len(roots) == 1200
    again = specs_of(experiment_with({"seed": 1}))
    assert again.stage(store, experiment.mask, 3).seed not in roots


def test_a_score_has_the_seed_of_its_training() -> None:
    for seed in (0, 4):
        replicate = jobs(experiment_with({"seed": seed}))
        assert replicate["mask-score"].seed == replicate["mask-stage"].seed
        assert replicate["image-score"].seed == replicate["image-stage"].seed


def test_arms_differ_in_what_they_say_and_in_nothing_else() -> None:
    replicate = jobs(experiment_with({}))
    arms = {arm: dict(replicate[f"segmenter {arm}"].config) for arm in ARMS}
    fills = {arm: config.pop("fill") for arm, config in arms.items()}
    shared = set(arms["none"]) - {"synthetic_fraction"}
    assert {arm for arm, config in arms.items() if "synthetic_weight" in config} == {ADDED}
    assert all(
        {k: c[k] for k in shared} == {k: arms["none"][k] for k in shared} for c in arms.values()
    )
    more = {arm: set(config) - shared for arm, config in arms.items()}
    plain_arms, unmixed = {"none", "gan"}, {"synthetic-only", "pretrain-finetune"}
    assert {arm for arm, names in more.items() if "augmentation" not in names} == plain_arms
    assert {arm for arm, names in more.items() if "synthetic_fraction" not in names} == unmixed
    assert {arm for arm, names in more.items() if "pretrain" in names} == {"pretrain-finetune"}
    assert len({replicate[f"segmenter {arm}"].seed for arm in ARMS}) == 1
    assert {arm: fill["extra"] for arm, fill in fills.items()} == {
        name: arm_of(name).filling for name in ARMS
    }
    assert {arm: fill["order"] for arm, fill in fills.items() if fill["order"] != "mixed"} == {
        "synthetic-only": "only",
        "pretrain-finetune": "first",
        ADDED: "added",
    }
    inputs = {arm: replicate[f"segmenter {arm}"].inputs.get("extra") for arm in ARMS}
    kinds = {arm: source.digest for arm, source in inputs.items() if source is not None}
    assert kinds == {
        "gan": replicate["gan"].digest,
        "traditional+gan": replicate["gan"].digest,
        ADDED: replicate["gan"].digest,
        "synthetic-only": replicate["gan"].digest,
        "pretrain-finetune": replicate["gan"].digest,
        "real-mask": replicate["gan-on-real-masks"].digest,
        "oracle": replicate["fresh-phantoms"].digest,
    }


def test_an_experiment_of_other_arms_shares_the_trainings() -> None:
    few = {"arms": ["none", "traditional"], "decision.secondary": [], "decision.baseline": "none"}
    few["decision.candidate"] = "traditional"
    assert moved(digests(), digests(name="few", **few)) == TEST


def test_a_spec_comes_back_from_its_file_with_its_digest() -> None:
    for spec in jobs(experiment_with({})).values():
        back = Spec.from_dict(json.loads(json.dumps(spec.to_dict())))
        assert back == spec
        assert back.digest == spec.digest


def test_no_path_of_this_machine_is_in_a_spec() -> None:
    secret = {
        "data.source": "dicom",
        "data.root": "/home/someone/patients",
        "metrics.inception_weights": "/home/someone/weights.pth",
        "metrics.torchscript": "/home/someone/network.pt",
        "tracking.uri": "sqlite:////home/someone/mlflow.db",
    }
    for spec in jobs(experiment_with(secret)).values():
        assert "someone" not in json.dumps(spec.to_dict())


def test_an_experiment_is_the_same_wherever_it_lies(tmp_path: Path) -> None:
    found = []
    for place in ("here", "over there"):
        path = tmp_path / place / "mine.yaml"
        path.parent.mkdir()
        path.write_text("name: x\ndata: {source: dicom, root: ct}")
        loaded = load_experiment(path)
        assert loaded.data.root == str(tmp_path / place / "ct")
        found.append({name: spec.digest for name, spec in jobs(loaded).items()})
        stored = json.dumps([spec.config for spec in jobs(loaded).values()])
        assert str(tmp_path) not in stored + json.dumps(sanitised(loaded))
    assert found[0] == found[1]
