"""The two questions: which arms answer each, and what is said where none do."""

from __future__ import annotations

import pytest
from config_complaint import complaint

from harness.config.load import parse_experiment
from harness.config.questions import asked, question_pairs

ADD = "decision: {question: add}"
BOTH = "[none, traditional, gan, traditional+gan, traditional+nothing, 'traditional+gan:added']"
REPLACE, ADDED = (
    ("traditional", "traditional+gan"),
    ("traditional+nothing", "traditional+gan:added"),
)


def test_each_question_has_its_pair() -> None:
    assert question_pairs(*REPLACE) == {"replace": REPLACE, "add": ADDED}
    assert question_pairs("none", "gan")["add"] == ("nothing", "gan:added")
    assert question_pairs("duplicate", "oracle")["add"][1] == "traditional+fresh-phantoms:added"


@pytest.mark.parametrize(
    "pair",
    [
        ("traditional", "gan"),  # augmentation differs too
        ("traditional", "synthetic-only"),
        ("pretrain-finetune", "traditional+gan"),
        ("traditional", "traditional+nothing"),
    ],
)
def test_arms_that_differ_in_more_answer_no_second_question(pair: tuple[str, str]) -> None:
    assert question_pairs(*pair) == {"replace": pair}


@pytest.mark.parametrize(
    ("pair", "question", "words"),
    [
        (REPLACE, "replace", "synthetic pairs in the place of real ones"),
        (("none", "gan"), "replace", "synthetic pairs in the place of real ones"),
        (ADDED, "add", "synthetic pairs on top of the same real ones"),
        (("traditional", "gan"), "", ""),
        (("none", "traditional"), "", ""),
        (("traditional", "duplicate"), "", ""),
        (("traditional+nothing", "traditional+gan"), "", ""),
        (("traditional", "traditional+gan:added"), "", ""),
        (("real-mask", "traditional+gan"), "", ""),
    ],
)
def test_a_pair_says_its_question_where_it_answers_one(
    pair: tuple[str, str], question: str, words: str
) -> None:
    found = asked(*pair)
    assert (found.pair, found.question, found.words) == (pair, question, words)


def test_the_primary_question_comes_first_and_the_other_where_it_is_trained() -> None:
    rule = parse_experiment(f"name: x\narms: {BOTH}\n{ADD}", "x.yaml").decision
    gan = ("traditional", "gan")
    assert rule.primary == ADDED
    assert [c.pair for c in rule.comparisons([*REPLACE, *ADDED, "gan"])] == [ADDED, REPLACE, gan]
    assert [c.pair for c in rule.comparisons([*ADDED, "traditional", "gan"])] == [ADDED, gan]
    rule = parse_experiment(f"name: x\narms: {BOTH}", "x.yaml").decision
    assert [c.pair for c in rule.comparisons([*REPLACE, *ADDED, "gan"])] == [REPLACE, ADDED, gan]
    named = rule.model_copy(update={"secondary": (gan, ADDED)})
    assert [c.pair for c in named.comparisons([*REPLACE, *ADDED])] == [REPLACE, gan, ADDED]


def test_the_arms_of_the_question_must_be_trained() -> None:
    assert complaint(f"name: x\n{ADD}") == (
        "try.yaml: decision must name arms that are trained, but got traditional+gan:added, "
        "traditional+nothing (decision.question 'add' compares traditional+gan:added with "
        "traditional+nothing); add them to `arms`"
    )
    arms = "['traditional+gan:added', traditional+nothing]"
    parse_experiment(f"name: x\narms: {arms}\ndecision: {{question: add, secondary: []}}", "x.yaml")


@pytest.mark.parametrize(
    ("decision", "said"),
    [
        (
            "{question: adds}",
            "decision.question must be one of: replace, add, but got 'adds'; did you mean 'add'?",
        ),
        (
            "{candidate: 'traditional+gan:added'}",
            "decision.candidate must be an arm whose pairs are not added, but got "
            "'traditional+gan:added'; name 'traditional+gan' and set decision.question to add, "
            "which adds its pairs",
        ),
        (
            "{question: add, candidate: gan}",
            "decision.question may be 'add' for two arms that differ only in what fills a part of "
            "every batch, but got 'traditional' and 'gan'; name others, such as traditional and "
            "traditional+gan",
        ),
    ],
)
def test_a_rule_without_its_arms_is_one_sentence(decision: str, said: str) -> None:
    assert complaint(f"name: x\ndecision: {decision}") == f"try.yaml, line 2: {said}"


def test_a_weight_and_an_arm_are_refused_in_a_sentence() -> None:
    assert complaint("name: x\nsegmentation: {synthetic_weight: -1}") == (
        "try.yaml, line 2: segmentation.synthetic_weight must be a number >= 0, but got -1"
    )
    assert complaint("name: x\narms: [traditional, traditional+gan, gan, 'nothing:added']") == (
        "try.yaml, line 2: arms must add pairs, but got 'nothing:added'; remove it from `arms`"
    )
    assert "'gan:aded'; did you mean 'gan:added'?" in complaint("name: x\narms: ['gan:aded']")
