"""Every registered network as a stage of a tiny experiment would train it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from factories.tiny import COMPUTE, StopAfter, Tiny, tiny_experiment, weights_at
from pydantic import ValidationError

from harness.config.choices import IMAGE_NETWORKS, MASK_NETWORKS, SEGMENTERS
from harness.config.stages import NetworkRecord
from harness.data.pairs.store import Store
from harness.jobs.folder import JobFolder
from harness.jobs.journal import read_lines, series
from harness.jobs.spec import Spec
from harness.training.precision import Precision
from harness.work.train.networks import image_network, mask_network, segmenter

PARTS = {"mask": MASK_NETWORKS, "image": IMAGE_NETWORKS, "segmentation": SEGMENTERS}
MAKE: dict[str, Any] = {"mask": mask_network, "image": image_network, "segmentation": segmenter}

SMALL: dict[str, dict[str, Any]] = {
    "dcgan": {"width": 4, "latent": 8},
    "pix2pix": {"width": 4},
    "unet": {"channels": [4, 8], "residual_units": 1},
    "dynunet": {"channels": [8, 16, 16], "learning_rate": 5e-3},
}
"""Settings that make a network small; others train with their own defaults."""
LENGTH: dict[str, dict[str, Any]] = {
    "mask": {"batch_size": 4, "schedule": {"epochs": 2}},
    "image": {"batch_size": 3, "schedule": {"epochs": 2, "decay": False}},
    "segmentation": {"batch_size": 4, "updates": 8, "updates_per_epoch": 4},
}
LAST = 2


def every(*parts: str) -> pytest.MarkDecorator:
    """Runs a test over the networks of these parts, as `part-name`."""
    cases = [(part, name) for part in parts for name in PARTS[part].names()]
    return pytest.mark.parametrize(("part", "name"), cases, ids=lambda value: str(value))


class Trained:
    """A work folder that trains one network; `settings` of its section are others than usual."""

    def __init__(self, root: Path, part: str, name: str, **settings: Any) -> None:
        self.part, self.name = part, name
        chosen = {"network": name, **SMALL.get(name, {}), **LENGTH[part], **settings}
        frame = {"crop": {"frame_px": 128}, "structures": ["structure"]}
        self.tiny = Tiny(root, tiny_experiment(data=frame, **{part: chosen}))
        self.store = Store.open(self.tiny.store_folder)

    def spec(self, seed: int = 0) -> Spec:
        tiny, settings = self.tiny, getattr(self.tiny.experiment, self.part)
        if self.part == "segmentation":
            return tiny.specs.segmenter(tiny.store, "none", None, seed)
        return tiny.specs.stage(tiny.store, settings, seed)

    def must(self, seed: int = 0) -> JobFolder:
        return self.tiny.must(self.spec(seed), LAST)

    def network(self, config: Any = None) -> Any:
        """As a job makes it, before any weights."""
        return MAKE[self.part](
            config or dict(self.spec().config), self.store.meta, Precision.of(COMPUTE)
        )

    def batch(self) -> dict[str, torch.Tensor]:
        rows = self.store.select(role="train")[:4]
        ct = torch.from_numpy(self.store.ct[rows].astype(np.float32))
        masks = torch.from_numpy(np.asarray(self.store.masks[rows])).float()
        if self.part == "mask":
            crops = self.store.mask_crops(rows).astype(np.float32)
            return {"images": torch.from_numpy(crops) * 2 - 1}
        return {"ct": ct, "masks": masks if self.part == "segmentation" else masks * 2 - 1}

    def look(self, network: Any, seed: int = 0) -> np.ndarray:
        """What it makes of noise, masks or CT."""
        source, batch = torch.Generator().manual_seed(seed), self.batch()
        if self.part == "mask":
            return np.asarray(network.sample(5, source))
        if self.part == "image":
            return np.asarray(network.generate(batch["masks"], source))
        return np.asarray(network.predict(batch["ct"].numpy()))


def check_section(part: str, name: str) -> None:
    """Its settings have defaults, stand plain data, and refuse what they do not know."""
    record = PARTS[part].get(name)
    assert isinstance(record, NetworkRecord)
    settings = record.section(network=name)
    plain = settings.model_dump(mode="json")
    assert record.section.model_validate(plain) == settings
    with pytest.raises(ValidationError):
        record.section.model_validate({**plain, "no such setting": 1})
    assert all(field.description for field in record.section.model_fields.values())


def check_resume(case: Trained, other: Trained) -> None:
    """Stopped in the middle of an epoch and resumed, it ends with the same bits; another seed with
    others."""
    whole = case.must()
    assert other.tiny.run(other.spec(), LAST, stop=StopAfter(2)).state == "stopped"
    broken = other.must()
    assert weights_at(broken, LAST) == weights_at(whole, LAST)
    assert weights_at(case.must(seed=1), LAST) != weights_at(whole, LAST)
    result = whole.result(LAST)
    assert result is not None
    assert result["cost"]["seconds"] > 0
    logged = {line.name for line in read_lines(whole.journal)[0]}
    network = case.network()
    network.begin(0)
    first, second = (network.step(case.batch()) for _ in range(2))
    assert list(first) == list(second)
    shown = {name for group in PARTS[case.part].get(case.name).losses.values() for name in group}
    assert shown
    assert shown <= first.keys()
    for scalar, value in first.items():
        assert value.ndim == 0
        assert f"train/{scalar}" in logged
        assert np.isfinite(series(whole.journal, f"train/{scalar}")[1]).all()


def held(network: Any) -> list[torch.Tensor]:
    """Copies of every weight and buffer."""
    parts = network.networks.values()
    return [value.clone() for part in parts for value in part.state_dict().values()]


def check_start(case: Trained) -> None:
    """Initial weights depend on the seed alone, whatever the global generators."""
    starts: list[list[torch.Tensor]] = []
    for world, seed in ((0, 5), (1, 5), (0, 6)):
        torch.manual_seed(world)
        network = case.network()
        network.begin(seed)
        starts.append(held(network))
    assert all(torch.equal(a, b) for a, b in zip(starts[0], starts[1], strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(starts[0], starts[2], strict=True))


def check_looking(case: Trained) -> np.ndarray:
    """Looking changes nothing and gives the same again; so do a checkpoint's weights."""
    network = case.network()
    network.begin(0)
    for module in network.networks.values():
        module.train()
    network.step(case.batch())
    before = held(network)
    state = torch.random.get_rng_state()
    seen = case.look(network)
    np.testing.assert_array_equal(case.look(network), seen)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert all(torch.equal(a, b) for a, b in zip(before, held(network), strict=True))
    assert all(module.training for module in network.networks.values())
    again = case.network()
    again.restore({name: value.clone() for name, value in network.weights().items()})
    np.testing.assert_allclose(case.look(again), seen, atol=1e-5)
    return seen
