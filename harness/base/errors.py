"""The tree of errors.

    HarnessError
    |- UserError            exit 2: the person at the keyboard can fix it; a sentence, no traceback
    |  |- ConfigError       the experiment file or an override
    |  |- DataError         the patients: files, geometry, contours, roles
    |  `- RuleError         a request that the protocol refuses (test already opened, leakage)
    |- EnvironmentFault     exit 3: disk, network, missing weights, a lost server, another owner
    |  |- Outage            a server that is away or a disk that is full: a driver waits for it
    |  |- Damaged           a file of the work folder is not what was written
    |  `- Lost              another owner took over what this process owned
    |- OutOfMemory          exit 3: a job is too large for its device; in a sweep, its trial fails
    |- JobFailed            exit 3: a job stored its failure; the reason travels with it
    `- Stopped              exit 130: asked to stop; state is saved and the next start continues

Anything else that escapes is a bug: exit 1, with its traceback.
Messages follow one form: the rule, then "but got" with the value, then what to do.
"""

from __future__ import annotations

from pathlib import Path


class HarnessError(Exception):
    """Root of all errors that `harness` raises on purpose."""

    exit_code = 1


class UserError(HarnessError):
    """Something the user can fix; shown as one sentence."""

    exit_code = 2


class ConfigError(UserError):
    """The experiment file, or an override, breaks a rule."""


class DataError(UserError):
    """Source data break a rule."""


class RuleError(UserError):
    """A request that the protocol refuses."""


class EnvironmentFault(HarnessError):
    """The world around the program: disk, network, weights, servers, other owners."""

    exit_code = 3


class Outage(EnvironmentFault):
    """What waiting may mend: a server that does not answer any more, a disk without room.

    Nothing is half done where this is raised: doing the same again is safe.
    """


class Damaged(EnvironmentFault):
    """A file of the work folder is not what was written: cut, overwritten, changed, gone.

    Args:
        path: the file.
        why: what is wrong with it, after "but".
        then: what to do, where nothing makes it again by itself.
    """

    def __init__(self, path: Path, why: str, then: str = "") -> None:
        self.path, self.why, self.then = path, why, then
        super().__init__(path, why, then)

    def __str__(self) -> str:
        then = f"; {self.then}" if self.then else ""
        return f"'{self.path}' must be as harness wrote it, but {self.why}{then}"


class Lost(EnvironmentFault):
    """Another owner took over while this process was silent; it ends and writes nothing more."""


class OutOfMemory(HarnessError):
    """A job wants more memory than its share of the device has; trying again would not help."""

    exit_code = 3


class JobFailed(HarnessError):
    """A job ended in a stored failure."""

    exit_code = 3


class Stopped(HarnessError):
    """Asked to stop; the state is saved and the next start continues from it."""

    exit_code = 130
