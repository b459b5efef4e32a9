"""What a network of anyone's gives is looked at where it gives it, and refused with its name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from harness.base.errors import DataError, EnvironmentFault
from harness.work.train.held import Held

LOSS = torch.tensor(0.5)
SOURCE = torch.Generator()


class Good:
    """Does what is asked of a mask network, an image network and a segmenter of 2 channels."""

    networks: Mapping[str, Any] = {}
    optimisers: Mapping[str, Any] = {}

    def begin(self, seed: int) -> None: ...

    def restore(self, weights: Any) -> None: ...

    def step(self, batch: Any) -> Any:
        return {"loss": LOSS}

    def weights(self) -> Any:
        return {"w": torch.zeros(2)}

    def rate_factor(self, share: float) -> Any:
        return 1

    def sample(self, count: int, source: torch.Generator) -> Any:
        return np.zeros((count, 2, 8, 8), np.float32)

    def generate(self, masks: Tensor, source: torch.Generator) -> Any:
        return np.zeros((len(masks), 1, 8, 8), np.float32)

    def predict(self, ct: Any) -> Any:
        return np.full((len(ct), 2, 8, 8), 0.5, np.float32)


def held(**methods: Any) -> Held:
    network = type("Network", (Good,), methods)()
    return Held(network, "mask.network 'mine'", 2, 8, "sample", "generate", "predict")


def test_what_is_right_passes_as_it_is() -> None:
    network = held()
    network.begin(0)
    assert network.networks is Good.networks
    assert network.step({}) == {"loss": LOSS}
    assert list(network.weights()) == ["w"]
    assert network.rate_factor(0.5) == 1.0
    assert network.sample(3, SOURCE).shape == (3, 2, 8, 8)
    assert network.generate(torch.zeros(3, 2, 8, 8), SOURCE).shape == (3, 1, 8, 8)
    assert network.predict(np.zeros((3, 1, 8, 8))).shape == (3, 2, 8, 8)


def test_a_missing_method_is_said_when_it_is_made() -> None:
    with pytest.raises(EnvironmentFault, match=r"'mine' must have .* none called predict; mend"):
        held(predict=None)


def test_parts_without_names_are_refused() -> None:
    with pytest.raises(EnvironmentFault, match=r"name its networks and optimisers, but got"):
        held(optimisers=[1]).begin(0)


@pytest.mark.parametrize(
    "scalars",
    [None, {}, LOSS, {"loss": 0.5}, {"loss": torch.zeros(2)}, {"loss": torch.tensor(1)}],
    ids=str,
)
def test_a_step_gives_scalar_tensors_by_name(scalars: Any) -> None:
    with pytest.raises(EnvironmentFault, match=r"'mine' must give scalar.* from `step`, but got"):
        held(step=lambda self, batch: scalars).step({})


@pytest.mark.parametrize("name", ["learning_rate", "non_finite_updates", "a b", 1])
def test_names_of_the_loop_and_odd_ones_are_refused(name: Any) -> None:
    with pytest.raises(EnvironmentFault, match="must name its scalars in small letters"):
        held(step=lambda self, batch: {name: LOSS}).step({})


def test_every_step_gives_the_same_names_in_the_same_order() -> None:
    answers = iter([{"a": LOSS, "b": LOSS}, {"b": LOSS, "a": LOSS}])
    network = held(step=lambda self, batch: next(answers))
    network.step({})
    with pytest.raises(EnvironmentFault, match=r"\['a', 'b'\] from every `step`, but got \['b'"):
        network.step({})


@pytest.mark.parametrize("weights", [None, {}, {"w": 1.0}, {"w": np.zeros(2)}], ids=str)
def test_a_checkpoint_holds_tensors(weights: Any) -> None:
    with pytest.raises(EnvironmentFault, match="tensors by name from `weights`"):
        held(weights=lambda self: weights).weights()


@pytest.mark.parametrize("factor", [None, -1, float("nan"), float("inf")])
def test_a_rate_is_a_finite_factor(factor: Any) -> None:
    with pytest.raises(EnvironmentFault, match="a factor of at least 0"):
        held(rate_factor=lambda self, share: factor).rate_factor(0.1)


@pytest.mark.parametrize(
    ("images", "said"),
    [
        (None, "float32 arrays from `sample`, but got NoneType"),
        (torch.zeros(3, 2, 8, 8), "float32 arrays from `sample`, but got Tensor"),
        (np.zeros((3, 2, 8, 8)), "float32 arrays from `sample`, but got ndarray float64"),
        (np.zeros((0, 2, 8, 8), np.float32), r"\(3, 2, 8, 8\) from `sample`, but got \(0, 2, 8"),
        (np.zeros((3, 1, 8, 8), np.float32), r"\(3, 2, 8, 8\) from `sample`, but got \(3, 1, 8"),
        (np.full((3, 2, 8, 8), 50, np.float32), r"in \[-1, 1\] from `sample`, but got values from"),
    ],
    ids=["nothing", "tensor", "float64", "none", "channels", "range"],
)
def test_samples_have_their_form(images: Any, said: str) -> None:
    with pytest.raises(EnvironmentFault, match=said):
        held(sample=lambda self, count, source: images).sample(3, SOURCE)


def test_probabilities_lie_between_0_and_1_and_are_numbers() -> None:
    for value, error, said in (
        (-4.0, EnvironmentFault, r"in \[0, 1\] from `predict`"),
        (np.nan, DataError, "its training diverged; lower its learning rate"),
    ):
        images = np.full((1, 2, 8, 8), value, np.float32)
        with pytest.raises(error, match=said):
            held(predict=lambda self, ct, images=images: images).predict(np.zeros((1, 1, 8, 8)))


def test_samples_that_are_no_numbers_pass_for_the_verdict_to_name_them() -> None:
    images = np.full((1, 2, 8, 8), np.nan, np.float32)
    assert np.isnan(held(sample=lambda self, count, source: images).sample(1, SOURCE)).all()
