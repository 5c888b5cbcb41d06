"""The notebook of the historic recipe: kept without outputs, every name it uses exists, and in small it runs."""

import ast
import inspect
import json
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

import mitobench

NOTEBOOK = Path(__file__).resolve().parents[1] / "docs" / "learn" / "historic-recipe.ipynb"
SMALL = {
    "DATASETS": ("no-such-dataset", "synthetic"),
    "BASELINE": "sam-vit-tiny",
    "HISTORIC": {"train": "historic", "epochs": 1, "input": 64, "batch": 8},
    "HONEST": {"steps": 4, "batch": 1, "val_every": 4},
}
"""What the test puts in place of the notebook's settings."""


def cells(*, tagged: str = "") -> list[str]:
    """Sources of the code cells that are Python, or of those with a tag."""
    found = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    code = [cell for cell in found if cell["cell_type"] == "code"]
    tags = [(cell["metadata"].get("tags", []), "".join(cell["source"])) for cell in code]
    return [source for has, source in tags if (tagged in has if tagged else "install" not in has)]


def test_it_is_small_and_holds_no_outputs() -> None:
    """Outputs would be pictures of tissue and numbers that no command of this repository made."""
    book = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    assert NOTEBOOK.stat().st_size < 30_000
    assert (book["nbformat"], book["metadata"]["kernelspec"]["name"]) == (4, "python3")
    ids = [cell["id"] for cell in book["cells"]]
    assert len(set(ids)) == len(ids)
    for cell in book["cells"]:
        if cell["cell_type"] == "code":
            assert cell["outputs"] == []
            assert cell["execution_count"] is None


def test_its_names_exist() -> None:
    """Every import can be made, every `mb.` name is public, and calls use arguments that exist."""
    trees = [ast.parse(source) for source in cells()]
    assert len(trees) > 8
    nodes = [node for tree in trees for node in ast.walk(tree)]
    for node in nodes:
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("mitobench"):
            module = import_module(str(node.module))
            for one in node.names:
                assert hasattr(module, one.name) or import_module(f"{module.__name__}.{one.name}")
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "mb":
            assert node.attr in mitobench.__all__
    calls = [node for node in nodes if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)]
    ours = [call for call in calls if isinstance(call.func.value, ast.Name) and call.func.value.id == "mb"]  # type: ignore[attr-defined]
    assert len(ours) > 5
    for call in ours:
        known = inspect.signature(getattr(mitobench, call.func.attr)).parameters  # type: ignore[attr-defined]
        assert [word.arg for word in call.keywords if word.arg not in known] == []


def test_its_settings_are_those_that_the_test_changes() -> None:
    """A setting that was renamed would leave the slow test running the real thing."""
    assigned = {
        target.id
        for node in ast.parse(cells(tagged="parameters")[0]).body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    assert assigned == {*SMALL, "WEIGHTS", "OUT"}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of whoever runs it in a notebook
def test_it_runs_in_small(tmp_path: Path, synthetic_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every cell in order, on synthetic tissue; both tables come out, and the recipe is beside its blind controls."""
    pytest.importorskip("matplotlib").use("Agg")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MITOBENCH_DATA", str(synthetic_root))
    parameters = cells(tagged="parameters")[0]
    session: dict[str, Any] = {"__name__": "__main__"}
    for source in cells():
        exec(compile(source, NOTEBOOK.name, "exec"), session)
        if source == parameters:
            session |= SMALL
    assert session["DATASET"] == "synthetic"
    assert list(session["historic"].index)[1] == "patch box filled, image unopened"
    assert session["historic"].notna().all(axis=None)
    assert list(session["table"].index) == ["empty", "everything", "threshold", "unet", "sam-vit-tiny"]
    assert session["table"]["iou"]["everything"] > 0
    assert len(session["pictures"]) == 5
