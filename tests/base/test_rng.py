"""Streams: keyed by purpose, independent of order, and the documented numpy construction."""

from __future__ import annotations

import hashlib

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from harness.base import rng as streams

PURPOSE = st.lists(st.text(max_size=8) | st.integers(0, 2**31), max_size=3)


def test_a_stream_is_numpys_seed_sequence_of_root_and_key() -> None:
    word = int.from_bytes(hashlib.sha256(b"order").digest()[:4], "big")
    expected = np.random.Generator(
        np.random.PCG64(np.random.SeedSequence(3, spawn_key=(word, 7)))
    ).random(5)
    np.testing.assert_array_equal(streams.generator(3, "order", 7).random(5), expected)


@given(st.integers(0, 2**63), PURPOSE, PURPOSE)
def test_streams_repeat_and_differ_by_purpose(
    root: int, one: list[str | int], other: list[str | int]
) -> None:
    first = streams.seed_of(root, *one)
    second = streams.seed_of(root, *other)
    assert 0 <= first < 2**63
    assert streams.seed_of(root, *one) == first
    assert (first == second) == (one == other)


def test_neighbouring_seeds_and_epochs_do_not_correlate() -> None:
    draws = np.stack(
        [
            streams.generator(root, "noise", epoch).normal(size=4000)
            for root in range(3)
            for epoch in range(3)
        ]
    )
    correlations = np.asarray(np.corrcoef(draws))[np.triu_indices(9, 1)]
    # 36 pairs of independent draws: sd 1/sqrt(4000), five of them is out of reach by chance.
    assert np.abs(correlations).max() < 5 / np.sqrt(4000)


def test_torch_draws_the_same_for_the_same_purpose() -> None:
    one = torch.randn(4, generator=streams.torch_generator(1, "weights"))
    torch.manual_seed(123)
    two = torch.randn(4, generator=streams.torch_generator(1, "weights"))
    other = torch.randn(4, generator=streams.torch_generator(1, "order"))
    assert torch.equal(one, two)
    assert not torch.equal(one, other)
