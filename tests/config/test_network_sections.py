"""A network brings its own section: chosen by its name, strict, and blamed where it is at fault."""

from __future__ import annotations

import pickle
from typing import Any

import pytest
from config_complaint import complaint
from pydantic import Field

from harness.base.errors import ConfigError, EnvironmentFault
from harness.config.axes import apply
from harness.config.choices import MASK_NETWORKS
from harness.config.experiment import model_of, network_of, to_dict
from harness.config.load import parse_experiment
from harness.config.render import render
from harness.config.stages import MaskStageConfig, NetworkRecord, Pix2pixConfig


class Blobs(MaskStageConfig):
    """Settings of a network of somebody else's."""

    count: int = Field(3, ge=1, description="blobs")
    spread: float = Field(0.5, ge=0, description="of their centres")


@pytest.fixture(autouse=True)
def blobs(monkeypatch: pytest.MonkeyPatch) -> None:
    register(monkeypatch, "blobs", Blobs)


def register(monkeypatch: pytest.MonkeyPatch, name: str, section: Any) -> None:
    record = NetworkRecord(section, {}, "nowhere:Nothing")
    monkeypatch.setitem(MASK_NETWORKS._known, name, record)


def test_the_section_is_that_of_the_name_and_reads_back() -> None:
    experiment = parse_experiment("name: x\nmask: {network: blobs, count: 5}", "try.yaml")
    assert isinstance(experiment.mask, Blobs)
    assert to_dict(experiment)["mask"]["count"] == 5
    assert network_of(experiment, "mask").section is Blobs
    assert parse_experiment(render(experiment), "again.yaml") == experiment
    assert pickle.loads(pickle.dumps(experiment)) == experiment, "as workers are asked about it"
    assert "  count: 5  # blobs (default 3); a whole number >= 1\n" in render(experiment)


@pytest.mark.parametrize(
    "overrides",
    [
        ("mask.network=blobs", "mask.count=5"),
        ("mask.count=5", "mask.network=blobs"),
        ("mask={network: blobs, count: 5}",),
    ],
)
def test_overrides_choose_it_in_any_order(overrides: tuple[str, ...]) -> None:
    experiment = parse_experiment("name: x", "try.yaml", overrides)
    assert (experiment.mask.network, to_dict(experiment.mask)["count"]) == ("blobs", 5)
    assert experiment.mask.batch_size == 12


def test_settings_of_another_network_are_refused_as_such() -> None:
    said = complaint("name: x\nmask: {width: 8}", "mask.network=blobs")
    assert said == (
        "try.yaml, line 2: keys of `mask` with network 'blobs' must be one of: network, "
        "batch_size, optimiser, schedule, patients, learns, augmentation, count, spread; but got "
        "'mask.width'"
    )


def test_an_unknown_network_is_the_one_complaint_about_its_section() -> None:
    said = complaint("name: x\nmask: {network: blubs, count: 0}\nimage: {network: smear, x: 1}")
    assert said.splitlines() == [
        "try.yaml, line 2: mask.network must be one of: dcgan, dcgan-smooth, blobs, but got "
        "'blubs'; did you mean 'blobs'?",
        "try.yaml, line 3: image.network must be one of: pix2pix, but got 'smear'; "
        "if a package adds it, install that package",
    ]


def test_a_sweep_knows_its_settings_but_not_other_networks() -> None:
    text = "name: x\nmask: {network: blobs}\nsweep: {mask: {space: {AXIS}}}"
    parse_experiment(text.replace("AXIS", "count: {values: [1, 2]}"), "try.yaml")
    assert "sweep.mask.space.count.values[0] must be a whole number >= 1" in complaint(
        text.replace("AXIS", "count: {values: [0]}")
    )
    assert "sweep.mask.space.network must be no axis" in complaint(
        text.replace("AXIS", "network: {values: [dcgan]}")
    )


def test_plain_data_of_another_network_needs_its_model() -> None:
    tree = {"name": "x", "mask": {"network": "blobs"}}
    assert isinstance(model_of(tree).model_validate(tree).mask, Blobs)
    with pytest.raises(ValueError, match="mask must hold the settings of its network 'blobs'"):
        model_of({}).model_validate(tree)


class Bare(MaskStageConfig):
    file: str


class Odd(MaskStageConfig):
    count: int = Field(0, ge=1)


@pytest.mark.parametrize(
    ("section", "said"),
    [
        (Pix2pixConfig, "'faulty' must be a MaskStageConfig, but got Pix2pixConfig; mend"),
        (None, "'faulty' must be a MaskStageConfig, but got NoneType; mend"),
        (Bare, "each setting of mask.network 'faulty' must have a valid default"),
        (Odd, "each setting of mask.network 'faulty' must have a valid default"),
    ],
)
def test_a_faulty_section_is_its_packages_fault(
    monkeypatch: pytest.MonkeyPatch, section: Any, said: str
) -> None:
    register(monkeypatch, "faulty", section)
    with pytest.raises(EnvironmentFault, match=said):
        parse_experiment("name: x\nmask: {network: faulty}", "try.yaml")


@pytest.mark.parametrize("code", ["nope:Nothing", "harness.base.rng:Nothing", "no colon"])
def test_code_that_cannot_be_imported_is_its_packages_fault(code: str) -> None:
    with pytest.raises(EnvironmentFault, match="a network's code must be importable, but got"):
        NetworkRecord(Blobs, {}, code).load()


def test_a_trial_whose_settings_do_not_fit_together_is_a_sentence() -> None:
    with pytest.raises(ConfigError, match=r"but got {'count': 0} \(count must be a whole number"):
        apply(Blobs(network="blobs"), {"count": 0})
