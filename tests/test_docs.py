"""The handwritten pages: every Python fence runs or says why not, every command and flag exists, every name is told."""

import re
import shlex
from pathlib import Path

import pytest

import mitobench
from mitobench.cli.help import help_pages

DOCS = Path(__file__).resolve().parents[1] / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
_FENCE = re.compile(r"^( *)```(\w+)([^\n]*)\n(.*?)^\1```", re.MULTILINE | re.DOTALL)


def fences(page: Path, language: str) -> list[tuple[str, str]]:
    """Options and code of each fence of a language."""
    found = _FENCE.findall(page.read_text(encoding="utf-8"))
    return [(options.strip(), code) for _, name, options, code in found if name == language]


def _name(page: Path) -> str:
    return page.relative_to(DOCS).as_posix()


@pytest.mark.parametrize("page", [page for page in PAGES if fences(page, "python")], ids=_name)
def test_python_fences_run(
    page: Path, synthetic_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The fences of a page run one after another in an empty folder, as a reader would type them."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MITOBENCH_DATA", str(synthetic_root))
    session: dict[str, object] = {"__name__": "__main__"}
    for options, code in fences(page, "python"):
        if 'exec="false"' in options:
            assert re.search(r'reason="[^"]{8,}"', options), (
                f"{_name(page)}: a fence that does not run says why"
            )
            continue
        assert not options, f"{_name(page)}: unknown fence options {options}"
        exec(compile(code, _name(page), "exec"), session)


def test_commands_and_flags_exist() -> None:
    """Every mitobench line in a shell fence names a command that exists and only flags it has."""
    pages = help_pages()
    seen = 0
    for page in PAGES:
        for _, code in fences(page, "sh"):
            for line in re.findall(r"mitobench [^\n&;#]*", code):
                words = shlex.split(line)
                command = next(
                    " ".join(words[:length]) for length in (3, 2, 1) if " ".join(words[:length]) in pages
                )
                assert command != "mitobench" or words[1].startswith("-"), f"{_name(page)}: {line}"
                flags = [word.partition("=")[0] for word in words if word.startswith("--")]
                unknown = [flag for flag in flags if flag not in pages[command]]
                assert not unknown, f"{_name(page)}: {line}: {command} has no {unknown}"
                seen += 1
    assert seen > 10


def test_every_public_name_is_documented() -> None:
    """What `import mitobench` offers stands on the API page."""
    listed = re.findall(r"^::: (\S+)$", (DOCS / "api.md").read_text(), re.MULTILINE)
    told = {name.rpartition(".")[2] for name in listed}
    assert sorted(set(mitobench.__all__) - {"__version__"} - told) == []


def test_pages_are_in_the_navigation() -> None:
    """No handwritten page is an orphan."""
    text = (DOCS.parent / "mkdocs.yml").read_text()
    assert [_name(page) for page in PAGES if f" {_name(page)}\n" not in text] == []


def test_start_page_fits_one_screen() -> None:
    """The first page is short."""
    assert len((DOCS / "index.md").read_text().split()) < 180


def test_nothing_generated_lies_among_them() -> None:
    """Numbers are printed at build time; none of the printed pages is committed."""
    assert not {"leaderboard.md", "metrics.md", "tracks.md", "cli.md"} & {_name(page) for page in PAGES}
    assert not (DOCS / "entries").exists()
    assert not (DOCS / "datasets").exists()
