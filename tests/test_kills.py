"""Killing a fetch at ten random moments and running again always ends in a verified store."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import tiles
from fake_host import serving

TESTS = Path(__file__).resolve().parent


def ten_kills(folder: Path, **arguments: Any) -> list[dict[str, Any]]:
    """What `killing.py` says."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("MITOBENCH")}
    environment["PYTHONPATH"] = f"{TESTS.parent}{os.pathsep}{TESTS}"
    done = subprocess.run(
        [sys.executable, str(TESTS / "killing.py"), json.dumps({"folder": str(folder), **arguments})],
        capture_output=True,
        check=False,
        text=True,
        env=environment,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout)
    assert len(found) == 10
    assert [kill for kill in found if kill["status"]] == [], done.stderr
    return found


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
def test_a_conversion_that_is_killed_goes_on(tmp_path: Path) -> None:
    """Verified, the same bytes, nothing left over, and no piece that the journal knows is read again."""
    found = ten_kills(tmp_path, url=None, seed=20, options={"n_tiles": 30, "known": True})
    assert [kill for kill in found if not kill["same"] or kill["read again"]] == []
    assert sum(not kill["finished"] for kill in found) >= 8


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
def test_a_download_that_is_killed_goes_on(tmp_path: Path) -> None:
    """The host is slow; what has arrived is not asked for again."""
    options = {"n_tiles": 5, "known": True, "ballast": 700_000}
    toy = tiles.build(tmp_path / "published", **options)
    with serving(toy.archive.read_bytes()) as host:
        host.modes = ["slow"] * 50
        found = ten_kills(tmp_path / "work", url=host.url, seed=5, until=14, options=options)
        ranges = [request["range"] for request in host.seen if "range" in request]
    assert [kill for kill in found if not kill["same"] or kill["read again"]] == []
    assert len(ranges) >= 2
