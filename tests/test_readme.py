"""The README's two commands are the ones that CI runs."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DEMO = "python3 -m pip install uv && python3 -m uv run mitobench demo"
TESTS = "python3 -m pip install uv && python3 -m uv run pytest"


def test_readme_holds_the_two_commands() -> None:
    """A newcomer finds both, each on a line of its own."""
    lines = (ROOT / "README.md").read_text().splitlines()
    assert DEMO in lines
    assert TESTS in lines


def test_ci_runs_the_readme_test_command() -> None:
    """CI tests what the README promises."""
    assert TESTS in (ROOT / ".ci" / "run").read_text().splitlines()


def test_readme_python_runs(synthetic_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first lines that a newcomer types run as they stand, on data that is made on the spot."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MITOBENCH_DATA", str(synthetic_root))
    fences = re.findall(r"^```python\n(.*?)^```", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    session: dict[str, object] = {}
    for code in fences:
        exec(compile(code, "README.md", "exec"), session)
    assert fences
    assert set(session["sample"]) == {"image", "mask", "volume", "origin"}
