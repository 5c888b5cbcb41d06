"""The main job, whole, on a few training steps."""

import html
import json
from dataclasses import replace
from pathlib import Path

import pytest

from mitobench import demo

QUICK = (("steps", 4), ("crop", 128), ("input", 64), ("warmup", 1), ("val_every", 4), ("save_every", 4))


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch, synthetic_root: Path) -> None:
    """The demo with controls and a SAM that takes four steps."""
    monkeypatch.setenv("MITOBENCH_DATA", str(synthetic_root))
    steps = [replace(step, settings=QUICK) if "finetuned" in step.key else step for step in demo.STEPS]
    monkeypatch.setattr(demo, "STEPS", tuple(step for step in steps if "zero-shot" not in step.key))


@pytest.mark.usefixtures("quick")
def test_demo_makes_a_board_and_its_page(tmp_path: Path) -> None:
    """Every step leaves an entry; the board ranks them and the page shows them."""
    said: list[str] = []
    result = demo.run_demo(tmp_path, say=said.append)
    titles = {row[1] for row in result["ranking"]}
    assert titles == {step.title for step in demo.STEPS}
    assert {row[0] for row in result["ranking"]} == {"", "1"}, "controls have no rank"
    board = json.loads((tmp_path / "leaderboard" / "board.json").read_text())
    scores = {row["entry"]: row["scores"]["iou"] for row in board["rows"]}
    assert scores["empty"] == 0.0
    assert 0.0 < scores["everything"] < 0.2
    assert result["page"] is not None
    page = html.unescape((tmp_path / "site" / "leaderboard.html").read_text())
    assert all(step.title in page for step in demo.STEPS)
    curve = tmp_path / "leaderboard" / "sam-vit-tiny-finetuned" / "curves" / "synthetic@1.auto.0.json"
    assert json.loads(curve.read_text())["step"]


@pytest.mark.usefixtures("quick")
def test_demo_goes_on_where_it_stopped(tmp_path: Path) -> None:
    """A second run keeps checkpoints and predictions."""
    demo.run_demo(tmp_path)
    kept = sorted((tmp_path / "checkpoints").rglob("weights.safetensors"))
    before = [path.stat().st_mtime_ns for path in kept]
    assert before
    demo.run_demo(tmp_path)
    assert [path.stat().st_mtime_ns for path in kept] == before
