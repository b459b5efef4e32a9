"""Read patients, say who was excluded and why, cut pairs, draw the quality page."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from harness.base.files import read_json
from harness.commands import quality, steps
from harness.commands.session import Session


def prepare_data(session: Session) -> dict[str, Any]:
    """Prepare pairs and say what was kept, excluded and lost."""
    say = session.console.say
    if not session.patient_index.usable:  # which ends the command: the page says why
        say(f"quality page: {quality.write_page(session)}")
    values = steps.prepare(session)
    for patient in session.patient_index.usable:
        for note in patient.notes:
            say(f"{patient.patient}: {session.names.reveal(note)}")
    counts = values["patients"]
    left = len(session.patient_index.usable) - len(session.roles)
    counted = [f"{number} {role}" for role, number in counts.items()]
    say("patients: " + ", ".join(counted + [f"{left} not used (data.limit)"] * bool(left)))
    for line in (*steps.floor_words(session), *steps.validation_words(session)):
        session.console.warn(line)
    for role, numbers in values["pairs"].items():
        say(f"{role}: " + ", ".join(f"{number} {what}" for what, number in numbers.items()))
    for name, share in values["lost"].items():
        if share:
            say(f"{name}: {100 * share:.3g} %")
    page = quality.write_page(session)
    say(f"{read_json(page.with_name('quality.json'))['summary']}; quality page: {page}")
    return {
        "store": str(session.work.job(session.store).path / "store"),
        "quality": str(page),
        "values": values,
        "excluded": [asdict(entry) for entry in session.patient_index.excluded],
        "notes": {
            patient.patient: list(patient.notes)
            for patient in session.patient_index.usable
            if patient.notes
        },
    }
