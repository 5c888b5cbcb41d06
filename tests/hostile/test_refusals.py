"""Every hostile file is refused with a sentence, in bounded memory and time; none runs, reads another or leaves one."""

import hashlib
import json
import os
import pickle
import re
import subprocess
import sys
from pathlib import Path

import fixtures
import pytest
from benchmark_fakes import blobs, score, volume
from crafted import honest, written, zip_bytes

from mitobench.benchmark.container import open_prediction
from mitobench.benchmark.container.zips import ZipFile
from mitobench.errors import FormatError

TESTS = Path(__file__).parents[1]


def _snapshot(folder: Path) -> dict[str, str]:
    """Every file below a folder, with its bytes."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.mark.skipif(sys.platform != "linux", reason="limits and /proc of Linux")
def test_all_are_refused_within_limits(tmp_path: Path) -> None:
    """256 MiB beyond an idle process, a minute of one core and no byte written are enough to refuse all of them."""
    pytest.importorskip("h5py", reason="makes files that read others")
    cases = {}
    for place, (name, (data, said)) in enumerate(fixtures.containers().items()):
        path = tmp_path / f"{place}.zarr.zip"
        path.write_bytes(data)
        cases[name] = (path, said)
    (tmp_path / "others").mkdir()
    cases = fixtures.other_forms(tmp_path / "others") | cases
    before = _snapshot(tmp_path)
    done = subprocess.run(
        [sys.executable, "-B", str(TESTS / "hostile" / "opening_child.py")],
        input="\n".join(str(path) for path, _ in cases.values()),
        env={**os.environ, "PYTHONPATH": f"{TESTS.parent}{os.pathsep}{TESTS}", "OPENBLAS_NUM_THREADS": "1"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    found = dict(zip(cases, map(json.loads, done.stdout.splitlines()), strict=True))
    wrong = {
        name: answer
        for name, answer in found.items()
        if answer["kind"] != "refused" or not re.search(cases[name][1], answer["said"])
    }
    assert wrong == {}
    assert {name: answer["touched"] for name, answer in found.items() if answer["touched"]} == {}
    early = found.keys() - fixtures.chunk_lies()  # refused before anything that unpacks is even loaded
    assert [name for name in early if found[name]["packer"]] == []
    assert _snapshot(tmp_path) == before


def test_the_honest_one_is_opened(tmp_path: Path) -> None:
    """What the others are changed from is fine, as is what the package writes."""
    for data in (zip_bytes(honest()), written(tmp_path)):
        (tmp_path / "a.zip").write_bytes(data)
        opened = open_prediction(tmp_path / "a.zip", volumes=[volume()], only_container=True)
        assert (opened.arrays["a"][:] == blobs()).all()


def test_every_place_of_a_file_counts(tmp_path: Path) -> None:
    """One bit changed anywhere, and the file is refused or says the same: no byte is free to hide in."""
    path, data = tmp_path / "a.zip", zip_bytes(honest())
    path.write_bytes(data)
    expected = open_prediction(path, volumes=[volume()])
    for at in range(0, len(data), 7):
        path.write_bytes(data[:at] + bytes([data[at] ^ (1 << at % 8)]) + data[at + 1 :])
        try:
            found = open_prediction(path, volumes=[volume()], only_container=True)
            same = (found.arrays["a"][:] == blobs()).all()
        except FormatError:
            continue
        assert same
        assert found.manifest == expected.manifest


def test_a_file_swapped_while_it_is_read(tmp_path: Path) -> None:
    """What was checked is what is scored: another file under the name, or other bytes in it, is noticed."""
    path, other = tmp_path / "a.zip", tmp_path / "b.zip"
    path.write_bytes(zip_bytes(honest()))
    array = open_prediction(path, volumes=[volume()]).arrays["a"]
    away = pickle.loads(pickle.dumps(ZipFile(path)))  # as it arrives in another process
    other.write_bytes(zip_bytes([*honest(), *honest()]))
    other.replace(path)
    with pytest.raises(FormatError, match="was replaced"):
        away.read("zarr.json")
    assert (array[:] == blobs()).all()  # still the file that was checked
    path.write_bytes(zip_bytes(honest()))
    array = open_prediction(path, volumes=[volume()]).arrays["a"]
    with path.open("r+b") as file:
        file.seek(ZipFile(path).members["a/c/0/0/0"].start)
        file.write(b"x")
    with pytest.raises(FormatError, match="CRC-32"):
        array[:]


def test_only_containers_of_strangers_are_scored(tmp_path: Path) -> None:
    """A folder is fine on one's own disk and refused where strangers' files are scored."""
    import numpy as np

    np.save(tmp_path / "a.npy", blobs())
    assert score(tmp_path, [volume()]).scores["iou"] == 1
    with pytest.raises(FormatError, match="no prediction container"):
        score(tmp_path, [volume()], only_container=True)
