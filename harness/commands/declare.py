"""Write down a comparison's rule before the test is opened, for others to date it by."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from harness import __version__
from harness.base.errors import ConfigError, RuleError
from harness.base.files import digest_of, read_note, write_json, write_record
from harness.commands.chosen_settings import choice
from harness.commands.output_folder import unwritable
from harness.commands.session import Session
from harness.commands.steps import comparison_of
from harness.compare.user_register import earlier_openings, folder_openings
from harness.config.render import sanitised


def declare_rule(session: Session, file: Path) -> dict[str, Any]:
    """Write the rule, its digest and the time to `file`, and keep it in the experiment's folder.

    Patients are read, nothing is trained. Test patients stand there as content digests.

    Raises:
        ConfigError: `file` exists or cannot be written.
        RuleError: the test was opened: in this work folder, or under this rule in another one.
    """
    if file.exists():
        raise ConfigError(
            f"--declare must name a new file, but got '{file}', which exists; name another one"
        )
    rule = comparison_of(session, choice(session)).rule()
    digest = digest_of(rule)
    opened = folder_openings(session.root, rule["patients"])
    earlier = earlier_openings(session.root, rule["patients"], digest)
    same = [opening.date for opening in earlier.openings if opening.same_rule]
    if opened or same:
        where = "this work folder" if opened else "another work folder, under the same rule,"
        raise RuleError(
            "a rule is declared before its test patients are opened, but they were opened in "
            f"{where} on {(opened or same)[0]}; declare a comparison on other patients"
        )
    declared = {
        "declared": datetime.now(UTC).isoformat(timespec="seconds"),
        "rule_digest": digest,
        "config_digest": digest_of(sanitised(session.experiment)),
        "harness": __version__,
        "rule": rule,
        "earlier_openings": earlier.to_dict(),
    }
    try:
        write_json(file, declared)
    except OSError as error:
        raise unwritable("--declare", "a file that can be written", file, error) from error
    kept = _kept(session, digest)
    if not kept.exists():
        write_record(kept, declared)
    session.console.say(f"rule {digest}: {len(rule['patients'])} test patients, not opened here")
    session.console.say(earlier.sentence)
    return {"file": str(file), **declared}


def declared_on(session: Session, digest: str) -> str:
    """The day when a rule was first declared in this work folder; empty if it never was."""
    kept = _kept(session, digest)
    known = read_note(kept)
    return str(known["declared"])[:10] if known is not None else ""


def _kept(session: Session, digest: str) -> Path:
    return session.home / f"declared-{digest}.json"
