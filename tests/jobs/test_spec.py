"""Specs and requests: equal content, equal digest; nothing else changes it."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from harness.base.files import digest_of
from harness.jobs.spec import Input, Request, Spec

PLAIN = st.dictionaries(
    st.text(max_size=5),
    st.integers(-9, 9) | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    max_size=4,
)


def spec(**changed: Any) -> Spec:
    parts: dict[str, Any] = {
        "kind": "synthesis",
        "config": {"pairs": 3, "range": [1.0, 2.0]},
        "seed": 5,
        "compute": {"device": "cpu", "threads": 1},
        "inputs": {"mask": Input("mask-stage", "ab", 30), "store": Input("prepare", "cd")},
        "recipe": 1,
    }
    return Spec(**{**parts, **changed})


def test_every_part_counts() -> None:
    others = [
        spec(kind="other"),
        spec(config={"pairs": 4, "range": [1.0, 2.0]}),
        spec(config={"pairs": 3, "range": [2.0, 1.0]}),
        spec(seed=6),
        spec(compute={"device": "cuda", "threads": 1}),
        spec(inputs={"store": Input("prepare", "cd")}),
        spec(inputs={"mask": Input("mask-stage", "ab", 31), "store": Input("prepare", "cd")}),
        spec(inputs={"mask": Input("mask-stage", "ab"), "store": Input("prepare", "cd")}),
        spec(recipe=2),
    ]
    assert len({one.digest for one in [spec(), *others]}) == 10


@given(PLAIN)
def test_order_and_a_trip_through_json_do_not_count(config: dict[str, Any]) -> None:
    one = spec(config=config)
    shuffled = spec(
        config=dict(reversed(config.items())),
        inputs=dict(reversed(one.inputs.items())),
        compute=dict(reversed(one.compute.items())),
    )
    back = Spec.from_dict(json.loads(json.dumps(one.to_dict())))
    assert one.digest == shuffled.digest == back.digest


def test_a_digest_is_that_of_the_published_text() -> None:
    assert spec().digest == digest_of(spec().to_dict())
    assert len(spec().digest) == 24


def test_a_reference_names_kind_digest_and_epoch() -> None:
    assert spec().done(7) == Input("synthesis", spec().digest, 7)
    assert spec().done().epoch is None


def test_requests_of_one_lineage_merge_to_all_their_epochs() -> None:
    one = Request(spec(), (4, 16), 3, {"root": "x"}, "one")
    two = Request(spec(), (2, 16, 8), 9, {"root": "x"}, "two")
    merged = one.merged(two)
    assert merged.epochs == (2, 4, 8, 16)
    assert merged.pictures == 9
    assert merged.label == "one"


def test_a_request_comes_back_from_one_line() -> None:
    request = Request(spec(), (1, 2), 5, {"data": {"root": "/x"}}, "mask, seed 1")
    line = json.dumps(request.to_dict())
    assert "\n" not in line
    assert Request.from_dict(json.loads(line)) == request
