"""The README's two commands are the ones that CI runs."""

from pathlib import Path

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
