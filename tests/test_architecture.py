"""The house keeps its floors: imports run downward, wings stay apart, heavy libraries stay in their rooms."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "mitobench"
FLOORS = {
    "errors": 1,
    "segmenter": 1,
    "volume": 2,
    "prompts": 2,
    "blind": 2,
    "clicks": 2,
    "workers": 2,
    "replacing": 2,
    "preload": 2,
    "arrays": 2,
    "patches": 2,
    "drawing": 2,
    "components": 2,
    "metrics": 2,
    "morphology": 2,
    "datasets": 3,
    "baselines": 3,
    "benchmark": 3,
    "intake": 3,
    "api": 4,
    "entries": 4,
    "inference": 4,
    "models": 4,
    "prompted": 4,
    "blind_runs": 4,
    "submissions": 4,
    "site": 4,
    "demo": 4,
    "cli": 4,
    "__main__": 4,
    "__init__": 4,
}
WINGS = {"datasets", "baselines", "benchmark", "intake"}
# library -> the rooms that may import it (a prefix of the module path)
ROOMS = {
    "torch": ("baselines",),
    "torchvision": ("baselines",),
    "monai": ("baselines",),
    "segment_anything": ("baselines",),
    "safetensors": ("baselines",),
    "transformers": ("baselines",),
    "matplotlib": ("baselines", "morphology/plot"),
    "tifffile": ("arrays",),
    "skimage": ("components/watershed", "morphology/centreline"),
    "h5py": ("arrays",),
    "distributed": ("workers",),
    "dask": ("workers", "arrays/dasks"),
    "zarr": ("arrays", "benchmark/container", "benchmark/stream"),
    "datasets": ("datasets/hub", "api"),
    "pandas": ("datasets/table", "benchmark/leaderboard", "metrics/tables"),
    "requests": ("datasets/web", "datasets/download", "intake"),
    "typer": ("cli",),
    "rich": ("cli",),
}
MODULES = sorted(path.relative_to(PACKAGE).with_suffix("").as_posix() for path in PACKAGE.rglob("*.py"))


def _imports(module: str) -> list[str]:
    """Every imported module of a file, imports inside functions included."""
    found: list[str] = []
    for node in ast.walk(ast.parse((PACKAGE / f"{module}.py").read_text())):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} imports relatively"
            found += [f"{node.module}.{alias.name}" for alias in node.names]
    return found


def _room(module: str) -> str:
    return module.split("/", maxsplit=1)[0]


def test_every_module_has_a_floor() -> None:
    """A new file belongs to a known room."""
    assert {_room(module) for module in MODULES} <= set(FLOORS)


@pytest.mark.parametrize("module", MODULES)
def test_imports_run_downward_and_wings_stay_apart(module: str) -> None:
    """No arrow points upward, and none between two wings."""
    room = _room(module)
    for imported in _imports(module):
        parts = imported.split(".")
        if parts[0] != "mitobench" or len(parts) < 2:
            continue
        target = parts[1] if parts[1] in FLOORS else "__init__"
        if target == "__init__":
            assert FLOORS[room] == 4 or parts[1] == "__version__", f"{module} imports {imported}"
            continue
        assert FLOORS[target] <= FLOORS[room], f"{module} (floor {FLOORS[room]}) imports {imported} above it"
        if room in WINGS and target in WINGS:
            assert room == target, f"wing {room} imports wing {target} in {module}"


@pytest.mark.parametrize("module", MODULES)
def test_heavy_libraries_stay_in_their_rooms(module: str) -> None:
    """Each heavy library has one room that imports it."""
    for imported in _imports(module):
        library = imported.split(".")[0]
        if library in ROOMS:
            assert module.startswith(ROOMS[library]), f"{module} imports {library}; only {ROOMS[library]} may"


@pytest.mark.parametrize("module", MODULES)
def test_files_stay_readable(module: str) -> None:
    """A file does one job: at most 300 lines, and none is called utils."""
    assert len((PACKAGE / f"{module}.py").read_text().splitlines()) <= 300
    assert module.rsplit("/", 1)[-1] not in {"utils", "helpers", "misc", "common"}


@pytest.mark.parametrize(
    "module", ["mitobench", "mitobench.cli", "mitobench.metrics", "mitobench.benchmark.score"]
)
def test_imports_are_light(module: str) -> None:
    """Neither the package, nor its command line, nor scoring loads torch or its friends."""
    heavy = ["torch", "torchvision", "monai", "segment_anything", "datasets", "matplotlib", "numba"]
    heavy += ["distributed", "h5py"]
    if module in {"mitobench", "mitobench.cli"}:
        heavy += ["pandas", "tifffile", "zarr", "scipy"]
    code = f"import sys, {module}; print([m for m in {heavy!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_import_touches_nothing(tmp_path: Path) -> None:
    """Importing makes no folder and writes no file."""
    environment = {"HOME": str(tmp_path), "MITOBENCH_DATA": str(tmp_path / "data"), "PATH": ""}
    subprocess.run(
        [sys.executable, "-B", "-c", "import mitobench.api, mitobench.cli, mitobench.datasets"],
        env=environment,
        check=True,
        cwd=tmp_path,
    )
    assert list(tmp_path.iterdir()) == []


def test_all_public_names_resolve() -> None:
    """Everything in __all__ is there, and dir() shows it."""
    import mitobench

    assert set(mitobench.__all__) <= set(dir(mitobench))
    for name in mitobench.__all__:
        getattr(mitobench, name)


def test_unknown_public_name_is_named() -> None:
    """A misspelt name fails with the names there are."""
    import mitobench

    with pytest.raises(AttributeError, match="load_splt"):
        _ = mitobench.load_splt
