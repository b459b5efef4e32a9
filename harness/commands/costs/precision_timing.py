"""Which precision trains each network of an experiment faster on this machine."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import torch

from harness.base.errors import EnvironmentFault
from harness.config.experiment import Experiment, to_dict
from harness.data.pairs.framing import channels_of
from harness.training.precision import PRECISIONS, Precision, has_bfloat16
from harness.work.train.networks import image_network, mask_network, segmenter

SECONDS = 1.0
"""About as long each precision is timed at most."""

CLEAR = 1.25
"""A ratio of rates that is believed after a few steps."""

WORTH = 1.05
"""How much faster bfloat16 must be to be taken: float32 says the same with more digits."""

MAKERS: Mapping[str, Callable[..., Any]] = {
    "mask": mask_network,
    "image": image_network,
    "segmentation": segmenter,
}


def choose_precision(experiment: Experiment, section: str, device: str, threads: int) -> Any:
    """{"precision", "images_per_second": {precision: rate}} for the network of a section of the
    experiment, by steps on drawn images."""
    if device == "cuda" and not torch.cuda.is_available():
        raise EnvironmentFault(
            "compute.device may be cuda only where torch finds a GPU, but got a machine without "
            "one; take cpu or auto"
        )
    if not has_bfloat16(device):
        return {"precision": "float32", "images_per_second": {}}
    computes = {
        name: {"device": device, "precision": name, "threads": threads} for name in PRECISIONS
    }
    steps = {name: _step(experiment, section, compute) for name, compute in computes.items()}
    return faster(steps, getattr(experiment, section).batch_size, device)


def faster(steps: Mapping[str, Callable[[], Any]], images: int, device: str) -> dict[str, Any]:
    """The precision to take of two whose steps see so many images, and the rates of both: timed in
    turn until they differ clearly or each had its time."""
    taken: dict[str, list[float]] = {name: [] for name in steps}
    clear = timed = False
    while not (clear or timed):
        for name, step in steps.items():
            started = time.perf_counter()
            step()
            if device == "cuda":
                torch.cuda.synchronize()
            taken[name].append(time.perf_counter() - started)
        # Without the first step, which allocates; the fastest is the least disturbed.
        best = {name: min(seconds[1:] or seconds) for name, seconds in taken.items()}
        rounds = len(taken["float32"])
        clear = rounds > 3 and max(best.values()) > CLEAR * min(best.values())
        timed = rounds > 1 and min(map(sum, taken.values())) > SECONDS
    return {
        "precision": "bfloat16" if best["float32"] >= WORTH * best["bfloat16"] else "float32",
        "images_per_second": {name: round(images / seconds, 1) for name, seconds in best.items()},
    }


def _step(experiment: Experiment, section: str, compute: Mapping[str, Any]) -> Callable[[], Any]:
    config, data = to_dict(getattr(experiment, section)), experiment.data
    channels = channels_of(data.structures, data.mirror)
    meta = {"channels": channels, **to_dict(data.crop)}
    network = MAKERS[section](config, meta, Precision.of(compute))
    network.begin(0)
    edge = meta["mask_px" if section == "mask" else "frame_px"]
    source, size = torch.Generator().manual_seed(0), config["batch_size"]

    def drawn(count: int) -> torch.Tensor:
        return torch.rand(size, count, edge, edge, generator=source) * 2 - 1

    masks, ct = (drawn(len(channels)) > 0.8).float(), drawn(1)
    batch = {
        "mask": {"images": ct if config.get("learns") == "ct" else masks * 2 - 1},
        "image": {"masks": masks * 2 - 1, "ct": ct},
        "segmentation": {"masks": masks, "ct": ct},
    }[section]
    return lambda: network.step(batch)
