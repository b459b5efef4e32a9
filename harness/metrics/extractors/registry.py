"""Images to feature vectors: the networks in whose eyes real and synthetic images are compared.

Found by name here: `inception-v3`, the network of canonical FID and KID (torch-fidelity's port; its
weights are a download and are checked against a pinned SHA-256 before they are read);
`efficientnet-lite0`, whose ImageNet weights come with a package; `auto`, the first where its
weights are at hand, else the second; `torchscript`, the user's own file. `segmenter`
(`work.evaluate.features`) is not among them: it is built from a training of the work folder.

An image's features depend on that image alone, bit for bit: the network always sees chunks of one
size, the last one filled up with blank images.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from harness.base.errors import EnvironmentFault
from harness.config.choices import EXTRACTORS
from harness.metrics.extractors import weights


class Extractor(Protocol):
    """Images to features.

    Attributes:
        name: as in the config (`torchscript` with its file's stem); a score says which extractor
            it used.
        weights_digest: SHA-256 of the weights file.
        preprocessing: in words, what happens to an image before the network, and to a map after it.
    """

    name: str
    weights_digest: str
    preprocessing: str

    def __call__(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """float32 N x 1 x H x W in [0, 1] -> float32 N x d."""
        ...


@dataclass(frozen=True)
class ExtractorFiles:
    """Files of this machine that extractors read; part of no spec and no stored config.

    Attributes:
        inception: the Inception weights; None looks in torch.hub's folder.
        torchscript: the TorchScript file that the config names.
    """

    inception: Path | None = None
    torchscript: Path | None = None

    @classmethod
    def of(cls, paths: Mapping[str, Any]) -> ExtractorFiles:
        """From `inception_weights` and `torchscript` of a request's runtime or `metrics` section.

        Other keys are ignored, missing ones are None, and `~` is the home folder.
        """
        given = paths.get("inception_weights"), paths.get("torchscript")
        return cls(*(Path(path).expanduser() if path else None for path in given))


@dataclass(frozen=True)
class Identity:
    """What a score's spec holds of its extractor."""

    name: str
    weights_digest: str


@dataclass(frozen=True)
class Recipe:
    """How a registered extractor is named and made.

    Attributes:
        identify: name and weights digest, found without torch.
        make: given the files and a torch device name, the extractor.
    """

    identify: Callable[[ExtractorFiles], Identity]
    make: Callable[[ExtractorFiles, str], Extractor]


NO_FILES = ExtractorFiles()


def identify(name: str, files: ExtractorFiles = NO_FILES) -> Identity:
    """The extractor that `name` stands for here and now (`auto` resolved), without loading it.

    Raises:
        ConfigError: no such extractor.
        EnvironmentFault: its file is missing or is not the published one.
    """
    return _recipe(name).identify(files)


def make_extractor(
    name: str, files: ExtractorFiles | Path | None = None, device: str = "cpu"
) -> Extractor:
    """The extractor called `name`, as in the config or as `identify` names it.

    Args:
        files: where its weights lie; a lone path is the Inception weights.
        device: torch device that computes, e.g. "cpu" or "cuda".

    Raises:
        ConfigError: no such extractor.
        EnvironmentFault: its file is missing or is not the one that was named.
    """
    if not isinstance(files, ExtractorFiles):
        files = ExtractorFiles(inception=files)
    recipe = _recipe(name)
    if ":" in name and (named := recipe.identify(files).name) != name:
        raise EnvironmentFault(
            f"the extractor must be '{name}', as the plan named it, but got '{named}' from the "
            "files that the config names now; name the former file again, or repeat the command"
        )
    return recipe.make(files, device)


def _recipe(name: str) -> Recipe:
    """The recipe behind `torchscript` or `torchscript:<stem>`, `auto`, ..."""
    return EXTRACTORS.get(name.partition(":")[0])


def _identify_auto(files: ExtractorFiles) -> Identity:
    found = weights.find_inception(files.inception)
    return identify("efficientnet-lite0" if found is None else "inception-v3", files)


AUTO = Recipe(
    _identify_auto, lambda files, device: make_extractor(_identify_auto(files).name, files, device)
)
