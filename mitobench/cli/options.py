"""Options that several commands share, each with one name and one help text. No command is here."""

from pathlib import Path
from typing import Annotated

import typer

Dataset = Annotated[str, typer.Option(help="Dataset key, such as vnc.")]
Split = Annotated[str, typer.Option(help="Which split.")]
Track = Annotated[str, typer.Option(help="What the model knows at test time.")]
Version = Annotated[int | None, typer.Option(help="Split version; the newest by default.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]
Folder = Annotated[Path | None, typer.Option("--leaderboard", help="The leaderboard folder.")]
