"""The command line as people type it: what it prints, what it writes, and how it says no."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from mitobench.cli import app, main
from mitobench.cli.help import help_pages
from mitobench.cli.voxel_size import parsed_voxel_size
from mitobench.datasets import load_split
from mitobench.errors import BadInputError

DATASET = "synthetic"


@dataclass(frozen=True)
class Done:
    """What a run of the program left behind."""

    code: int
    stdout: str
    stderr: str


@pytest.fixture
def mitobench(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Done]:
    """Runs the program as its entry point does; expects an exit code."""

    def run(*words: str, expected: int = 0) -> Done:
        monkeypatch.setattr(sys, "argv", ["mitobench", *words])
        capsys.readouterr()
        code: object = 0
        try:
            main()
        except SystemExit as stop:
            code = stop.code or 0
        said = capsys.readouterr()
        assert code == expected, said.out + said.err
        return Done(expected, said.out, said.err)

    return run


def invoke(*words: str) -> str:
    """Run a command in this process; fails on any error."""
    result = CliRunner().invoke(app, words, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture
def data_home(synthetic_root: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The data root of every command here: it holds the synthetic dataset and nothing else."""
    monkeypatch.setenv("MITOBENCH_DATA", str(synthetic_root))
    monkeypatch.delenv("MITOBENCH_SOURCES", raising=False)
    return synthetic_root


@pytest.fixture
def truth(data_home: Path) -> np.ndarray:
    """The true labels of the synthetic test volume."""
    labels = load_split(DATASET, "test")[0].labels
    assert labels is not None
    return np.array(labels)


@pytest.fixture
def volume_name(data_home: Path) -> str:
    """Name of the synthetic test volume."""
    return load_split(DATASET, "test")[0].name


def test_every_command_has_help() -> None:
    """No command and no option is silent about itself."""
    for command, text in help_pages().items():
        assert "Usage: mitobench" in text, command
        assert len(text) > 150, command


def test_truth_scores_one(tmp_path: Path, truth: np.ndarray, volume_name: str) -> None:
    """The truth itself has IoU 1."""
    np.save(tmp_path / f"{volume_name}.npy", truth)
    scores = json.loads(invoke("score", str(tmp_path), "--dataset", DATASET, "--json"))["scores"]
    assert scores["iou"] == 1.0
    assert scores["f1_50"] == 1.0


def test_everything_scores_the_foreground_fraction(tmp_path: Path, truth: np.ndarray) -> None:
    """All foreground scores exactly what part of the truth is foreground."""
    out = tmp_path / "everything"
    invoke("predict", "everything", "--dataset", DATASET, "--out", str(out))
    record = json.loads(invoke("score", str(out), "--dataset", DATASET, "--json"))
    assert record["scores"]["iou"] == np.count_nonzero(truth) / truth.size


def test_score_writes_a_record_with_its_table(tmp_path: Path, truth: np.ndarray, volume_name: str) -> None:
    """--out keeps the record and, beside it, the table it can be recomputed from."""
    np.save(tmp_path / f"{volume_name}.npy", truth)
    target = tmp_path / "out" / "synthetic@1.auto.0.json"
    invoke("score", str(tmp_path / f"{volume_name}.npy"), "--dataset", DATASET, "--out", str(target))
    record = json.loads(target.read_text())
    assert (target.parent / record["table"]["path"]).is_file()


def _bad(kind: str, truth: np.ndarray) -> np.ndarray | None:
    """A prediction that cannot be scored."""
    made = {
        "shape": truth[:, :-1],
        "float": truth.astype(np.float32),
        "nan": np.full(truth.shape, np.nan, np.float32),
        "negative": truth.astype(np.int32) - 1,
    }
    return made.get(kind)


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("shape", "shape"),
        ("float", "float32"),
        ("nan", "NaN"),
        ("negative", "-1"),
        ("missing", "volume"),
    ],
)
def test_unscorable_predictions_get_one_message(
    mitobench: Callable[..., Done], tmp_path: Path, truth: np.ndarray, volume_name: str, kind: str, said: str
) -> None:
    """Wrong shape, dtype, NaN, negative ids or a missing volume: one message, exit 2, no traceback."""
    array = _bad(kind, truth)
    name = volume_name if array is not None else "some-other-volume"
    np.save(tmp_path / f"{name}.npy", truth if array is None else array)
    done = mitobench("score", str(tmp_path), "--dataset", DATASET, expected=2)
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("score", "nowhere", "--dataset", DATASET), "nowhere"),
        (("datasets", "luchi"), "luchi"),
        (("fetch", "vncc"), "Did you mean 'vnc'"),
        (("finetune", "unett", "--dataset", DATASET), "Did you mean 'unet'"),
        (("finetune", "unet"), "--dataset"),
        (("finetune", "unet", "--dataset", DATASET, "--set", "stepz=3"), "stepz"),
        (("predict", "unet", "--dataset", DATASET, "--out", "x"), "finetune"),
        (("predict", "everything", "--dataset", DATASET, "--out", "x", "--track", "box"), "takes no prompts"),
        (("score", "x", "--dataset", DATASET, "--split", "tets"), "Did you mean 'test'"),
        (("score", "x", "--dataset", DATASET, "--missing", "skip"), "skip"),
        (("score", "x", "--dataset", DATASET, "--workers", "-1"), "workers is -1"),
        (("score", "x", "--dataset", DATASET, "--workers", "2", "--scheduler", "tcp://a:1"), "workers is 2"),
        (("leaderboard", "check", "--leaderboard", "nowhere"), "nowhere"),
    ],
)
def test_wrong_words_get_one_message(
    mitobench: Callable[..., Done], data_home: Path, words: tuple[str, ...], said: str
) -> None:
    """A misspelt or impossible request is named and answered; exit code 2."""
    done = mitobench(*words, expected=2)
    assert said in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("words", "shown"), [(("datasets", "luchi"), 2), (("datasets", "luchi", "--traceback"), 1)]
)
def test_as_a_process(data_home: Path, words: tuple[str, ...], shown: int) -> None:
    """Run for real, an error is one message and exit code 2; --traceback shows where it came from."""
    done = subprocess.run(
        [sys.executable, "-m", "mitobench", *words], capture_output=True, text=True, check=False
    )
    assert done.returncode == shown
    assert ("Traceback" in done.stderr) == (shown == 1)


def test_datasets_lists_and_shows_cards(data_home: Path) -> None:
    """The table names every dataset; a card says its licence."""
    keys = {row["key"] for row in json.loads(invoke("datasets", "--json"))}
    assert {"vnc", "cdeep3m", "synthetic"} <= keys
    assert "CC-BY-NC-SA-3.0" in invoke("datasets", "vnc")


def test_the_table_of_datasets_fits_a_terminal(mitobench: Callable[..., Done]) -> None:
    """One line for each in 100 columns; who may not use it, and which sizes are guesses, can be seen."""
    lines = [line.rstrip() for line in mitobench("datasets").stdout.splitlines()]
    assert max(map(len, lines)) <= 100
    keys = {row["key"] for row in json.loads(invoke("datasets", "--json"))}
    shown = {line.split()[0]: line for line in lines[2:]}
    assert set(shown) == keys
    assert all(f"{key} " in line for key, line in shown.items())
    assert {key for key, line in shown.items() if " nc " in line} >= {"vnc", "cdeep3m", "urocell"}
    assert "~400 MB" in shown["kasthuri-pp"]
    assert " 42 MB" in shown["vnc"]
    assert shown["vnc"].endswith("train val test +")


def test_a_flipped_byte_is_named(
    mitobench: Callable[..., Done], data_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """verify names the file that changed and exits 2."""
    mine = tmp_path / "data"
    shutil.copytree(data_home, mine)
    monkeypatch.setenv("MITOBENCH_DATA", str(mine))
    mitobench("verify", DATASET)
    file = max(mine.rglob("*.npy"), key=lambda path: path.stat().st_size)
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.chmod(0o644)
    file.write_bytes(content)
    assert file.name in mitobench("verify", DATASET, expected=2).stderr


def test_validate_passes_and_fails(
    mitobench: Callable[..., Done], tmp_path: Path, truth: np.ndarray, volume_name: str
) -> None:
    """validate needs no truth: a good form passes, a wrong shape fails with exit 2."""
    np.save(tmp_path / f"{volume_name}.npy", truth)
    assert "pass" in invoke("validate", str(tmp_path), "--dataset", DATASET)
    np.save(tmp_path / f"{volume_name}.npy", truth[:-1])
    assert "fail" in mitobench("validate", str(tmp_path), "--dataset", DATASET, expected=2).stdout


def test_packed_predictions_score_the_same(tmp_path: Path, truth: np.ndarray, volume_name: str) -> None:
    """pack moves labels without changing one: same label root, same scores."""
    np.save(tmp_path / f"{volume_name}.npy", np.roll(truth, 3, axis=2))
    source, packed = str(tmp_path / f"{volume_name}.npy"), str(tmp_path / "packed")
    invoke("pack", source, "--dataset", DATASET, "--out", packed, "--model", "rolled")
    records = [json.loads(invoke("score", path, "--dataset", DATASET, "--json")) for path in (source, packed)]
    assert records[0]["scores"] == records[1]["scores"]
    assert records[0]["prediction"]["label_roots"] == records[1]["prediction"]["label_roots"]


@pytest.mark.parametrize(
    "text", ["", "a,b,c", "30,8", "30,8,8,8", "0,8,8", "30,-8,8", "30,nan,8", "30,inf,8"]
)
def test_a_voxel_size_that_is_none_is_refused_in_one_way(text: str) -> None:
    """Three positive numbers, or two where sections are taken too; both commands read them alike."""
    with pytest.raises(BadInputError, match=r"--voxel-size is .* Z,Y,X, such as 30,8,8"):
        parsed_voxel_size(text)
    assert parsed_voxel_size("30,8,8.5") == (30, 8, 8.5)
    assert parsed_voxel_size("8,8", axes=(3, 2)) == (8, 8)
