"""The help: commands in groups, by what a person wants to do, and an example of each."""

from __future__ import annotations

import itertools
from typing import Any

from typer.core import TyperGroup

from harness.base.errors import ConfigError

GROUPS = {
    "Run an experiment": {
        "run": "run experiments/quickstart.yaml",
        "prepare": "prepare mine.yaml",
        "sweep": "sweep mine.yaml --stage mask -s sweep.mask.trials=8",
        "compare": "compare mine.yaml --workers 4",
    },
    "Look": {
        "status": "status mine.yaml",
        "report": "report mine.yaml --open",
        "ui": "ui mine.yaml",
        "collapse": "collapse mine.yaml --fail-on collapse",
    },
    "Your data": {
        "init": "init ~/ct-folder -o mine.yaml",
        "inspect": "inspect ~/ct-folder --masks masks",
        "export": "export nnunet mine.yaml -o nnUNet_raw --arm gan",
    },
    "Check and plan": {
        "doctor": "doctor --workdir /data/harness-work",
        "config": "config mine.yaml -s mask.width=32",
        "plan": "plan mine.yaml --hours 12",
        "calibrate": "calibrate collapse mine.yaml",
    },
    "Tools": {
        "score": "score real/ synthetic/ --paired",
        "decide": "decide scores.csv --baseline none --candidate gan",
        "clean": "clean --workdir /data/harness-work --yes",
    },
}


class Groups(TyperGroup):
    """The group of all commands, whose help and epilogs come from `GROUPS`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Refuse empty values: as a path '' would be the present folder."""
        for before, value in itertools.pairwise(["harness", *args]):
            name, equals, rest = value.partition("=")
            empty = not value or (name.startswith("--") and equals and not rest)
            if empty and not ctx.resilient_parsing:
                raise ConfigError(
                    f"a value must not be empty, but got '' for {name or before}; give one, or "
                    "leave it out (is a variable of the shell not set?)"
                )
        return super().parse_args(ctx, args)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """A command with its example."""
        command = super().get_command(ctx, cmd_name)
        example = next((group[cmd_name] for group in GROUPS.values() if cmd_name in group), "")
        if command is not None and example:
            command.epilog = f"Example: harness {example}"
        return command

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """A section for each group; names of all groups are aligned."""
        width = max(len(name) for name in self.commands)
        for title, group in GROUPS.items():
            commands = [(name, self.get_command(ctx, name)) for name in group]
            limit = formatter.width - 6 - width
            rows = [(f"{name:<{width}}", c.get_short_help_str(limit)) for name, c in commands]
            with formatter.section(title):
                formatter.write_dl(rows)
