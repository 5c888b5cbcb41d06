"""Checks that need no truth: each passes on a good prediction and fails on its own bad one."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from benchmark_fakes import ASKED, SHAPE, blobs, volume, write_prediction

from mitobench.benchmark.container import open_prediction
from mitobench.benchmark.manifest import manifest_text
from mitobench.benchmark.validate import CHECKS, Finding, validate_prediction
from mitobench.errors import MitobenchError, UnknownNameError

GOOD = blobs()
GOOD[:, 0, 0] = 4  # something on every slice


def _validate(path: Path, *names: str) -> dict[str, Finding]:
    volumes = [volume(name) for name in names or ("a",)]
    for one in volumes:
        object.__setattr__(one, "labels", None)
    return {found.check: found for found in validate_prediction(path, volumes=volumes, **ASKED)}


def _files(**arrays: np.ndarray) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        for name, array in arrays.items():
            np.save(folder / f"{name}.npy", array)
        return folder

    return write


def _folder(array: np.ndarray, **other: str) -> Callable[[Path], Path]:
    return lambda folder: write_prediction(folder / "p", {"a": array}, **other)  # type: ignore[arg-type]


def _grey(folder: Path) -> Path:
    said = manifest_text(**ASKED, kind="semantic", model="some-model", seed=0, mitobench="0")
    (folder / "prediction.json").write_bytes(said)
    return _files(a=GOOD)(folder)


def test_a_good_prediction_passes(tmp_path: Path) -> None:
    """Every check says pass and gives no advice; the truth is never opened."""
    findings = _validate(write_prediction(tmp_path / "p", {"a": GOOD}))
    assert list(findings) == [check.name for check in CHECKS]
    assert {found.result for found in findings.values()} == {"pass"}
    assert {found.advice for found in findings.values()} == {""}


@pytest.mark.parametrize(
    ("check", "result", "write", "said"),
    [
        ("prediction is there", "fail", lambda folder: folder / "none", "is not there"),
        ("prediction is there", "fail", _files(a=GOOD, b=GOOD), "b.npy"),
        ("right dataset, split and track", "fail", _folder(GOOD, split="val"), "split 'val', not 'test'"),
        ("all volumes", "fail", _files(), "1 of 1"),
        ("shape, dtype and packing", "fail", _files(a=GOOD[1:]), "(5, 20, 24)"),
        ("shape, dtype and packing", "fail", _files(a=GOOD / 2), "Threshold"),
        ("ids from 0 up", "fail", _files(a=GOOD.astype(np.int32) - 1), "-1"),
        ("values fit the kind", "warn", _grey, "more than one non-zero value"),
        ("no empty slices", "warn", _files(a=np.where(np.arange(6)[:, None, None] < 4, GOOD, 0)), "2 empty"),
        ("no empty slices", "warn", _files(a=GOOD * 0), "is empty"),
        ("plausible amount", "warn", _files(a=np.ones(SHAPE, np.uint8)), "100.0 %"),
    ],
)
def test_a_bad_prediction_fails_its_check(
    tmp_path: Path, check: str, result: str, write: Callable[[Path], Path], said: str
) -> None:
    """The right check catches it, with its words and the remedy; all before it pass."""
    findings = _validate(write(tmp_path))
    found = findings[check]
    names = list(findings)
    assert found.result == result
    assert said in found.advice
    assert found.advice.endswith(next(one.fix for one in CHECKS if one.name == check))
    assert all(findings[name].result == "pass" for name in names[: names.index(check)])


def test_after_a_blocking_failure_the_rest_is_skipped(tmp_path: Path) -> None:
    """What could not be looked at is not called good."""
    (tmp_path / "prediction.json").write_text("{")
    results = [found.result for found in _validate(tmp_path).values()]
    assert results[0] == "fail"
    assert set(results[1:]) == {"skip"}


def test_all_bad_volumes_are_named(tmp_path: Path) -> None:
    """Two wrong shapes are told at once."""
    advice = _validate(_files(a=GOOD[1:], b=GOOD[2:])(tmp_path), "a", "b")["shape, dtype and packing"].advice
    assert "'a'" in advice
    assert "'b'" in advice


@pytest.mark.parametrize(
    "write",
    [_files(a=GOOD), _files(a=GOOD[1:]), _files(a=GOOD / 2), _files(a=GOOD.astype(np.int8) - 1), _files()],
)
def test_validate_and_scorer_agree(tmp_path: Path, write: Callable[[Path], Path]) -> None:
    """A prediction fails validation exactly when the scorer would refuse to open it."""
    path = write(tmp_path)
    failed = any(found.result == "fail" for found in _validate(path).values())
    try:
        open_prediction(path, volumes=[volume()])
    except MitobenchError:
        assert failed
    else:
        assert not failed


def test_every_check_says_why(tmp_path: Path) -> None:
    """Names are unique; reason and remedy are sentences."""
    assert len({check.name for check in CHECKS}) == len(CHECKS)
    assert all(check.why.endswith(".") and check.fix.endswith(".") for check in CHECKS)


def test_unknown_track(tmp_path: Path) -> None:
    """A misspelt track is told as such."""
    with pytest.raises(UnknownNameError):
        validate_prediction(tmp_path, volumes=[volume()], **{**ASKED, "track": "none"})
