"""The workflows of continuous integration: linted, pinned, and without a way for a stranger's text into a shell."""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).parents[1] / ".github" / "workflows"
FILES = sorted(FOLDER.glob("*.yml"))
INTAKE = [path for path in FILES if path.stem.startswith("intake") or path.stem == "drift"]


def _read(path: Path) -> dict[Any, Any]:
    yaml = pytest.importorskip("yaml", reason="needs PyYAML, which mkdocs brings")
    found: dict[Any, Any] = yaml.safe_load(path.read_text())
    return found


def _steps(path: Path) -> list[dict[str, Any]]:
    return [step for job in _read(path)["jobs"].values() for step in job["steps"]]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_workflow_is_pinned_and_starts_with_nothing(path: Path) -> None:
    """Actions by commit, no permission by default, no credentials left behind."""
    assert _read(path)["permissions"] == {}
    for step in _steps(path):
        if "uses" in step:
            assert re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", step["uses"])
        if step.get("uses", "").startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] is False


@pytest.mark.parametrize("path", INTAKE, ids=lambda path: path.stem)
def test_no_text_of_a_stranger_reaches_a_shell(path: Path) -> None:
    """Values go through the environment, and the code that runs is the accepted one."""
    for step in _steps(path):
        assert "${{" not in step.get("run", "")
        if step.get("uses", "").startswith("actions/checkout@"):
            assert "head" not in str(step["with"].get("ref", ""))
    assert "secrets." not in path.read_text()
    assert "pull_request_target" not in path.read_text()


def test_only_the_last_stage_may_write() -> None:
    """Whoever reads a stranger's files has a read-only token; whoever may write reads one file as data."""
    rights = {path.stem: [job["permissions"] for job in _read(path)["jobs"].values()] for path in INTAKE}
    assert {stem for stem, jobs in rights.items() if "write" in str(jobs)} == {"intake-c"}
    assert rights["intake-c"] == [{"actions": "read", "contents": "read", "pull-requests": "write"}]
    assert "intake review" not in (FOLDER / "intake-c.yml").read_text()


def test_zizmor_finds_nothing() -> None:
    """The security linter of workflows, offline."""
    program = shutil.which("zizmor", path=str(Path(sys.executable).parent)) or shutil.which("zizmor")
    if program is None:
        pytest.skip("zizmor is not installed")
    done = subprocess.run(
        [program, "--offline", "--no-progress", str(FOLDER)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_actionlint_finds_nothing() -> None:
    """The syntax linter of workflows; a Go program, so it is on the path or not there."""
    program = shutil.which("actionlint")
    if program is None:
        pytest.skip("actionlint is not on the path")
    done = subprocess.run([program, *map(str, FILES)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
