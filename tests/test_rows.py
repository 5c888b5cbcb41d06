"""The commands of entries, taken apart and put in order to be run beside each other."""

import importlib.util
import shlex
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def rows() -> ModuleType:
    """benchmarks/rows.py, which is a script."""
    spec = importlib.util.spec_from_file_location("rows", ROOT / "benchmarks" / "rows.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_chain_is_one_checkpoint(rows: ModuleType) -> None:
    """Every chain of every trained entry begins with its training and goes on with what reads its folder."""
    for entry in sorted((ROOT / "leaderboard").glob("*/model.toml")):
        chains = rows.chains_of(entry.parent.name, ROOT / "leaderboard")
        commands = [command for chain in chains for command in chain]
        if not any(" finetune " in command for command in commands):
            continue
        for chain in chains:
            first = shlex.split(chain[0])
            assert first[1] == "finetune"
            folder = first[first.index("--out") + 1]
            assert all(folder in shlex.split(command)[2] for command in chain[1:])


def test_what_starts_from_weights_comes_after_them(rows: ModuleType) -> None:
    """Two waves: the pre-training and all that needs nothing, then what starts from it."""
    before = ("before", ["mitobench finetune m --set train=masked --out runs/a"])
    after = (
        "after",
        ["mitobench finetune m --set weights=runs/a --out runs/b", "mitobench predict runs/b --out runs/b/p"],
    )
    alone = ("alone", ["mitobench finetune m --set weights=random --out runs/c"])
    assert rows.waves([after, before, alone]) == [[before, alone], [after]]


def test_finished_work_is_not_done_again(rows: ModuleType, tmp_path: Path) -> None:
    """A folder with a checkpoint or a prediction is finished; an empty one and a command without a folder are not."""
    words = ["mitobench", "finetune", "m", "--out", str(tmp_path)]
    assert not rows.done_already(words)
    assert not rows.done_already(words[:3])
    (tmp_path / "checkpoint.json").touch()
    assert rows.done_already(words)


def test_a_failed_command_ends_its_chain(
    rows: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What comes after it is not started, and the line says where to look."""
    ended = rows.run_chain("x", ["mitobench nonsense", f"mitobench predict empty --out {tmp_path}"], tmp_path)
    assert not ended
    assert "FAILED (2), see x.0.log" in capsys.readouterr().out
    assert not (tmp_path / "x.1.log").exists()
