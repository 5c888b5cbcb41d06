"""The walk-through for a first entry is executed as it stands, and what it packed is rescored over http."""

import hashlib
import http.client
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from fake_host import serving
from test_docs import DOCS, fences
from typer.testing import CliRunner

from mitobench.cli import app
from mitobench.intake.fetch import fetch_file
from mitobench.submissions.rescore import rescore_entry

PAGE = DOCS / "learn" / "first-entry.md"
FENCE = re.compile(r"```(\w+)([^\n]*)\n(.*?)```", re.DOTALL)


@pytest.fixture(scope="module")
def walked(
    synthetic_root: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Path, dict[str, str]]]:
    """The folder of a reader who typed the whole page, and what each command printed."""
    folder = tmp_path_factory.mktemp("reader")
    (folder / "leaderboard").mkdir()
    printed = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("MITOBENCH_DATA", str(synthetic_root))
        patch.delenv("MITOBENCH_LEADERBOARD", raising=False)
        for language, options, code in FENCE.findall(PAGE.read_text()):
            if language == "toml":
                (folder / options.strip().removeprefix('title="').removesuffix('"')).write_text(code)
            for line in code.splitlines() if language == "sh" else ():
                words = shlex.split(line)
                assert words[0] == "mitobench"
                result = CliRunner().invoke(app, words[1:], catch_exceptions=False)
                assert result.exit_code == 0, f"{line}\n{result.output}"
                printed[words[1]] = result.output
        yield folder, printed


def test_the_walk_through_ends_in_a_comment(walked: tuple[Path, dict[str, str]]) -> None:
    """Every step runs, and the last one prints a comment without anything to mend."""
    folder, printed = walked
    assert list(printed) == ["predict", "pack", "validate", "score", "submit"]
    assert len(fences(PAGE, "sh")) == 5
    assert "## my&#45;first&#45;model: in order" in printed["submit"]
    assert re.search(r"\| synthetic&#64;.*\| 1 of 1 \| is the best \|", printed["submit"])
    assert "fail" not in printed["validate"]
    assert list((folder / "leaderboard").iterdir()) == []  # a dry run writes nothing


def test_what_was_packed_is_rescored(
    walked: tuple[Path, dict[str, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The real entry names its upload; fetched from a host and scored by the hardened reader, it gives the same."""
    folder, _ = walked
    body = (folder / "packed" / "prediction.zarr.zip").read_bytes()
    sha256 = hashlib.sha256(body).hexdigest()
    named = f'[{{ record = "synthetic@1.auto.0", url = "https://zenodo.org/p.zip", sha256 = "{sha256}" }}]'
    card = tmp_path / "model.toml"
    card.write_text((folder / "model.toml").read_text() + f"predictions = {named}\n")
    board = tmp_path / "leaderboard"
    board.mkdir()
    words = ["submit", str(folder / "packed"), "--model", str(card), "--dataset", "synthetic"]
    result = CliRunner().invoke(app, [*words, "--leaderboard", str(board)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    with serving(body) as host:
        port = urlsplit(host.url).port

        def fetch(url: str, target: Path, **options: object) -> Path:
            return fetch_file(
                url,
                target,
                **options,  # type: ignore[arg-type]
                resolve=lambda _: ["93.184.216.34"],
                connect=lambda *_: http.client.HTTPConnection("127.0.0.1", port, timeout=60),
            )

        (answer,) = rescore_entry(board / "my-first-model", tmp_path, fetch=fetch)
        assert (answer.result, answer.details) == ("same", ())
        host.content = body[:-1]
        (answer,) = rescore_entry(board / "my-first-model", tmp_path, fetch=fetch)
        assert answer.result == "refused"
        assert "sha256" in answer.details[0]
