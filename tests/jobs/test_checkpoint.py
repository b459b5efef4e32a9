"""States and weights as files: tensors come back bit for bit, code does not."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import torch
from safetensors import safe_open

from harness.jobs.checkpoint import load_state, load_weights, save_state, save_weights


def test_a_state_comes_back_bit_for_bit(tmp_path: Path) -> None:
    path = tmp_path / "state" / "latest.pt"
    assert load_state(path, "cpu") is None
    image = torch.randn(2, 3, 4, 4).to(memory_format=torch.channels_last)
    state = {"networks": {"g": {"w": image}}, "names": ["a"], "epoch": 3, "seconds": 0.25}
    save_state(path, state)
    back = load_state(path, "cpu")
    assert back is not None
    assert torch.equal(back["networks"]["g"]["w"], image)
    assert back["networks"]["g"]["w"].stride() == image.stride()
    assert {k: v for k, v in back.items() if k != "networks"} == {
        k: v for k, v in state.items() if k != "networks"
    }


def test_an_optimiser_goes_on_from_its_state(tmp_path: Path) -> None:
    def steps(count: int, load: bool) -> torch.Tensor:
        weight = torch.nn.Parameter(torch.ones(5))
        adam = torch.optim.Adam([weight], fused=True)
        if load:
            state = load_state(tmp_path / "s.pt", "cpu")
            assert state is not None
            adam.load_state_dict(state["adam"])
            weight.data.copy_(state["weight"])
        for _ in range(count):
            adam.zero_grad()
            ((weight - torch.arange(5)) ** 2).sum().backward()
            adam.step()
        save_state(tmp_path / "s.pt", {"adam": adam.state_dict(), "weight": weight.detach()})
        return weight.detach()

    straight = steps(7, load=False)
    steps(3, load=False)
    assert torch.equal(steps(4, load=True), straight)


def test_code_in_a_state_file_is_not_run(tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> tuple[object, ...]:
            return (os.mkdir, (str(tmp_path / "boom"),))

    torch.save({"epoch": Bomb()}, tmp_path / "latest.pt")
    assert load_state(tmp_path / "latest.pt", "cpu") is None
    assert not (tmp_path / "boom").exists()


def test_weights_are_safetensors_that_others_can_read(tmp_path: Path) -> None:
    path = tmp_path / "checkpoints" / "3" / "weights.safetensors"
    shared = torch.randn(4, 4)
    weights = {
        "a": shared.t(),
        "b": shared,
        "count": torch.tensor(7),
        "c": torch.randn(1, 2, 3, 3).to(memory_format=torch.channels_last).requires_grad_(),
    }
    save_weights(path, weights)
    with safe_open(str(path), framework="numpy") as file:
        for name, value in weights.items():
            np.testing.assert_array_equal(file.get_tensor(name), value.detach().numpy())
    assert all(torch.equal(load_weights(path)[name], value) for name, value in weights.items())
