"""Device, precision, threads and extractor, resolved once per work folder and then frozen."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from harness.base.errors import EnvironmentFault
from harness.base.files import read_json, write_json
from harness.config.experiment import ComputeConfig, Experiment, to_dict


def resolve_here(config: ComputeConfig) -> dict[str, Any]:
    """What `auto` means on this machine.

    Raises:
        EnvironmentFault: cuda is asked for and there is none.
    """
    from harness.training.precision import resolve

    found = resolve(config, workers=os.cpu_count() or 1)
    return {
        "device": found.device,
        "precision": found.precision,
        # One thread a worker: several workers use the cores better than one with many threads.
        "threads": 1 if found.device == "cpu" else found.threads,
    }


def resolve_there(address: str, config: ComputeConfig) -> dict[str, Any]:
    """What `auto` means on a Ray cluster: on its node with most GPUs, else most CPUs.

    Raises:
        EnvironmentFault: the cluster does not answer, or cuda is asked for and there is none.
    """
    from harness.jobs.executors.cluster import connect, nodes
    from harness.jobs.executors.cluster_check import ask

    ray = connect(address)
    best = max(nodes(ray), key=lambda node: (node.gpus, node.cpus))
    ((_, found),) = ask(ray, [best], resolve_here, config, gpu=best.gpus > 0)
    return dict(found)


def resolve_compute(
    experiment: Experiment, root: Path, address: str | None = None
) -> dict[str, Any]:
    """{"device", "precision", "threads"}: what the experiment says, `auto` as frozen in `root`.

    Args:
        address: of the Ray cluster that computes; its executor says whether it has the GPUs.

    Raises:
        EnvironmentFault: cuda is asked for (or was frozen) and there is none.
    """
    config = experiment.compute
    asked = {"device": config.device, "precision": config.precision, "threads": config.threads}
    if "auto" in asked.values():
        frozen = _frozen(config, root / "resolved.json", address)
        asked = {name: frozen[name] if value == "auto" else value for name, value in asked.items()}
    if address is not None:
        return asked
    if config.device == "cuda" and not _has_cuda():
        raise EnvironmentFault(
            "compute.device is cuda, but this machine has no usable GPU; set it to auto or cpu, or "
            "run on the machine with the GPU"
        )
    if asked["device"] == "cuda" and not _has_cuda():
        raise EnvironmentFault(
            "compute.device is cuda in this work folder, but this machine has no usable GPU; run "
            "on the machine with the GPU, or use another --workdir"
        )
    return asked


def _frozen(config: ComputeConfig, path: Path, address: str | None) -> dict[str, Any]:
    if path.exists():
        return dict(read_json(path))
    found = resolve_here(config) if address is None else resolve_there(address, config)
    write_json(path, found)
    return found


def _has_cuda() -> bool:
    import torch

    return torch.cuda.is_available()


def default_workers(compute: dict[str, Any]) -> int:
    """Workers when none are asked for: the cores on a CPU, one on each GPU."""
    if compute["device"] != "cpu":
        import torch

        return max(1, torch.cuda.device_count())
    return max(1, (os.cpu_count() or 1) // int(compute["threads"]))


def resolve_extractor(experiment: Experiment, name: str) -> dict[str, str]:
    """{"name", "weights"} of a feature extractor: what "auto" means, the weights' SHA-256."""
    from harness.metrics.extractors.registry import ExtractorFiles, identify

    identity = identify(name, ExtractorFiles.of(to_dict(experiment.metrics)))
    return {"name": identity.name, "weights": identity.weights_digest}


def resolve_auditors(experiment: Experiment) -> tuple[dict[str, str], ...]:
    """The extractors of audits, each once; the segmenter is trained here, so without
    weights."""
    auditors: list[dict[str, str]] = []
    for name in experiment.metrics.audit_extractors:
        entry = {"name": name} if name == "segmenter" else resolve_extractor(experiment, name)
        if entry not in auditors:
            auditors.append(entry)
    return tuple(auditors)
