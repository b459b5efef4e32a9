"""Exit codes by branch of the tree."""

from __future__ import annotations

import pytest

from harness.base import errors


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (errors.ConfigError, 2),
        (errors.DataError, 2),
        (errors.RuleError, 2),
        (errors.EnvironmentFault, 3),
        (errors.JobFailed, 3),
        (errors.Stopped, 130),
        (errors.HarnessError, 1),
    ],
)
def test_each_branch_has_its_exit_code(kind: type[errors.HarnessError], code: int) -> None:
    assert kind("x").exit_code == code
    assert issubclass(kind, errors.HarnessError)


def test_only_what_the_user_can_fix_is_a_user_error() -> None:
    assert issubclass(errors.ConfigError, errors.UserError)
    assert not issubclass(errors.EnvironmentFault, errors.UserError)
    assert not issubclass(errors.JobFailed, errors.UserError)
