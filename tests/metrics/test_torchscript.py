"""The user's own network: what it may take and give, and that its file is what was named."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from factories.extractor import grey_images, small_net, write_script
from torch import Tensor, nn

from harness.base.errors import DataError, EnvironmentFault
from harness.base.files import sha256_file
from harness.metrics.extractors.networks import CHUNK
from harness.metrics.extractors.registry import Extractor, ExtractorFiles, identify, make_extractor


class Pair(nn.Module):
    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return x, x


class Rows(nn.Module):
    """One row for the whole batch, as from a file traced for a single image."""

    def forward(self, x: Tensor) -> Tensor:
        return x.reshape(1, -1)


class VarianceComponents(nn.Module):
    """Divides by each image's own spread: a blank one has none."""

    def forward(self, x: Tensor) -> Tensor:
        return ((x - x.mean(dim=(2, 3), keepdim=True)) / x.std(dim=(2, 3), keepdim=True))[:, 0, 0]


def load(path: Path, module: nn.Module, example: Tensor | None = None) -> Extractor:
    write_script(path, module, example)
    return make_extractor("torchscript", ExtractorFiles(torchscript=path))


@pytest.mark.parametrize(("channels", "said"), [(1, "in [0, 1], grey"), (3, "in [0, 1], grey x 3")])
def test_it_gets_the_channels_that_it_takes(tmp_path: Path, channels: int, said: str) -> None:
    network = small_net(channels).eval()
    extractor = load(tmp_path / "own.pt", network)
    x = grey_images(CHUNK + 3)
    found = extractor(x)
    with torch.no_grad():
        expected = network(torch.from_numpy(x).repeat(1, channels, 1, 1)).numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)
    assert extractor.preprocessing == said


def test_maps_are_averaged(tmp_path: Path) -> None:
    network = small_net(1, nn.Identity()).eval()
    extractor = load(tmp_path / "maps.pt", network)
    x = grey_images(2)
    with torch.no_grad():
        expected = network(torch.from_numpy(x)).mean(dim=(2, 3)).numpy()
    np.testing.assert_allclose(extractor(x), expected, rtol=1e-4, atol=1e-6)
    assert extractor.preprocessing == "in [0, 1], grey; map averaged globally"


def test_later_chunks_and_calls_give_the_same_bits(tmp_path: Path) -> None:
    extractor = load(tmp_path / "own.pt", small_net().eval())
    x = grey_images(1)
    assert len(np.unique(extractor(np.repeat(x, 4 * CHUNK, axis=0)), axis=0)) == 1
    np.testing.assert_array_equal(extractor(x), extractor(x))


def test_its_name_and_digest_are_the_files(tmp_path: Path) -> None:
    path = tmp_path / "radimagenet.v2.pt"
    extractor = load(path, small_net().eval())
    found = identify("torchscript", ExtractorFiles(torchscript=path))
    assert found.name == extractor.name == "torchscript:radimagenet.v2"
    assert found.weights_digest == extractor.weights_digest == sha256_file(path)
    again = make_extractor(found.name, ExtractorFiles(torchscript=path))
    assert again.name == found.name


def test_another_file_than_the_plan_named_is_refused(tmp_path: Path) -> None:
    path = write_script(tmp_path / "new.pt", small_net().eval())
    with pytest.raises(EnvironmentFault) as caught:
        make_extractor("torchscript:old", ExtractorFiles(torchscript=path))
    assert str(caught.value).startswith(
        "the extractor must be 'torchscript:old', as the plan named it, but got 'torchscript:new'"
    )


@pytest.mark.parametrize(
    ("module", "said"),
    [
        (nn.Flatten(0), f"shape ({CHUNK * 64 * 64},)"),
        (Rows(), f"shape (1, {CHUNK * 64 * 64})"),
        (nn.Flatten(2), f"shape ({CHUNK}, 1, {64 * 64})"),
        (Pair(), "tuple"),
    ],
)
def test_other_outputs_are_named(tmp_path: Path, module: nn.Module, said: str) -> None:
    with pytest.raises(DataError) as caught:
        load(tmp_path / "own.pt", module)(grey_images(2))
    assert f"must give a tensor N x d or N x d x h x w, but got {said} for" in str(caught.value)


def test_other_inputs_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        load(tmp_path / "own.pt", small_net(2).eval())(grey_images(2))
    text = str(caught.value)
    assert "must take float32 images N x 1 x H x W or N x 3 x H x W, but got errors for" in text
    assert "to have 2 channels, but got 1 channels" in text
    assert "to have 2 channels, but got 3 channels" in text


@pytest.mark.parametrize("extra", [nn.Identity(), nn.Dropout(0.5)])
def test_a_file_traced_in_training_mode_is_refused(tmp_path: Path, extra: nn.Module) -> None:
    network = nn.Sequential(small_net(), extra).train()
    if not isinstance(extra, nn.Identity):
        network[0].eval()
    extractor = load(tmp_path / "own.pt", network, torch.rand(CHUNK, 1, 64, 64))
    for _ in range(2):
        with pytest.raises(DataError, match=r"same features in any batch.*network\.eval\(\) first"):
            extractor(grey_images(2))


def test_a_scripted_file_is_put_into_evaluation_mode(tmp_path: Path) -> None:
    x = grey_images(3)
    trained = load(tmp_path / "a.pt", small_net().train())
    np.testing.assert_array_equal(trained(x), load(tmp_path / "b.pt", small_net().eval())(x))


def test_features_that_are_no_numbers_are_refused(tmp_path: Path) -> None:
    extractor = load(tmp_path / "own.pt", VarianceComponents())
    x = grey_images(3)
    assert extractor(x).shape == (3, 64), "blank images that fill a chunk are no reason"
    x[1] = 0
    with pytest.raises(DataError, match=r"from 'torchscript:own' for 1 of 3 images"):
        extractor(x)


@pytest.mark.parametrize("name", ["torchscript", "torchscript:own"])
def test_without_a_file_it_says_what_to_do(tmp_path: Path, name: str) -> None:
    for files, said in (
        (ExtractorFiles(), "but got nothing; export"),
        (ExtractorFiles(torchscript=tmp_path / "own.pt"), "but got '"),
    ):
        with pytest.raises(EnvironmentFault, match=said):
            make_extractor(name, files)
        with pytest.raises(EnvironmentFault, match=said):
            identify(name, files)


class Trap:
    """Runs when a pickle is read."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return Path.touch, (self.target,)  # type: ignore[return-value]


def test_a_pickle_is_no_torchscript_file_and_is_never_unpickled(tmp_path: Path) -> None:
    sprung, path = tmp_path / "sprung", tmp_path / "own.pt"
    path.write_bytes(pickle.dumps(Trap(sprung)))
    with pytest.raises(EnvironmentFault, match=r"must be a TorchScript file, but got one for"):
        make_extractor("torchscript", ExtractorFiles(torchscript=path))
    torch.save({"weights": Trap(sprung)}, path)
    with pytest.raises(EnvironmentFault, match=r"must be a TorchScript file, but got one for"):
        make_extractor("torchscript", ExtractorFiles(torchscript=path))
    assert not sprung.exists()


def test_paths_come_from_a_runtime_or_a_config(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    given = {"root": "/x", "inception_weights": None, "torchscript": "~/own.pt"}
    assert ExtractorFiles.of(given) == ExtractorFiles(None, Path("/home/me/own.pt"))
    assert ExtractorFiles.of({}) == ExtractorFiles()
