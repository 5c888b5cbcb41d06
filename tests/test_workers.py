"""Pieces of work over threads, processes and a cluster: order, errors, and what is left when one is killed."""

import os
import pickle
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from mitobench import workers
from mitobench.errors import BadInputError, MissingExtraError, UnknownNameError, WorkerError
from mitobench.workers import open_workers, when_asked


def slow_first(item):
    """The square, the first of which comes last."""
    time.sleep(0.2 if item == 0 else 0)
    return item * item


def process_id(_):
    return os.getpid()


def unknown(item):
    if item == 3:
        raise UnknownNameError("dataset", "vcn", ["vnc"])
    return item


def dies(item):
    os._exit(9)


def test_results_come_in_the_order_of_the_items(crew):
    """Whoever is first, and wherever the work is done."""
    assert list(crew.map(slow_first, range(9))) == [n * n for n in range(9)]
    assert (os.getpid() in set(crew.map(process_id, range(4)))) == crew.local


def test_errors_come_back_whole(crew):
    """Also those whose making takes several values."""
    with pytest.raises(UnknownNameError, match="Did you mean") as caught:
        list(crew.map(unknown, range(9)))
    assert (caught.value.name, caught.value.known) == ("vcn", ["vnc"])


def test_a_worker_that_vanishes_is_told():
    """Killed for memory, say."""
    with open_workers(2) as crew, pytest.raises(WorkerError, match="2 worker processes ended"):
        list(crew.map(dies, range(3)))
    with open_workers(2) as crew, pytest.raises(WorkerError, match="2 worker processes ended"):
        crew.start(dies, 1)()


def test_a_started_piece_is_asked_for_later(crew):
    """The answers may be fetched in any order; what the work raised is raised then."""
    squares = [crew.start(slow_first, n) for n in range(3)]
    lost = crew.start(unknown, 3)
    assert [answer() for answer in reversed(squares)] == [4, 1, 0]
    with pytest.raises(UnknownNameError):
        lost()
    asked = []
    later = when_asked(asked.append, 1)
    assert asked == []
    later()
    assert asked == [1]


def test_items_are_taken_as_they_are_needed():
    """Endless items are no trouble, and what was begun for nobody is given up."""
    taken = []

    def items():
        for n in range(10**9):
            taken.append(n)
            yield n

    with open_workers(1) as crew:
        results = crew.map(slow_first, items())
        assert [next(results) for _ in range(5)] == [0, 1, 4, 9, 16]
        results.close()
    assert len(taken) < 9


@pytest.mark.parametrize(("count", "scheduler"), [(-1, None), (2, "tcp://127.0.0.1:1")])
def test_nonsense_is_refused(count, scheduler):
    """Fewer than none, or two kinds at once."""
    with pytest.raises(BadInputError, match="workers is"), open_workers(count, scheduler):
        pass


def test_a_scheduler_that_is_not_there(monkeypatch):
    """The message says how to start one."""
    pytest.importorskip("distributed", reason="needs mitobench[cluster]")
    monkeypatch.setattr(workers, "CONNECT_SECONDS", 0.3)
    for address in ("tcp://127.0.0.1:1", "nowhere"):
        with pytest.raises(WorkerError, match=rf"{address}.*dask scheduler"), open_workers(scheduler=address):
            pass


def test_a_cluster_of_another_version_is_refused(cluster_address, monkeypatch):
    """Its pieces might be worked on otherwise."""
    monkeypatch.setattr("mitobench.__version__", "0.0.7")
    with pytest.raises(WorkerError, match=r"this is 0\.0\.7"), open_workers(scheduler=cluster_address):
        pass


def test_without_dask_the_extra_is_named(monkeypatch):
    """Nobody has to guess what to install."""
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(MissingExtraError, match=r"mitobench\[cluster\]"), open_workers(scheduler="tcp://a:1"):
        pass
    for error in (
        MissingExtraError("h5py", "hdf5", "Reading HDF5"),
        MissingExtraError("napari", "napari[all]", "Layers", is_package=True),
    ):
        assert str(pickle.loads(pickle.dumps(error))) == str(error)


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks processes up in /proc")
def test_workers_end_with_a_parent_that_is_killed(tmp_path):
    """No process is left behind by kill -9."""
    script = tmp_path / "parent.py"
    script.write_text(
        textwrap.dedent("""
        import os, time
        from mitobench.workers import open_workers, when_asked
        def work(_):
            time.sleep(0.3)
            return os.getpid()
        if __name__ == "__main__":
            with open_workers(2) as crew:
                for process in crew.map(work, range(10**6)):
                    print(process, flush=True)
        """)
    )
    with subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True) as parent:
        children = {int(parent.stdout.readline()) for _ in range(4)}
        parent.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 20
    while (left := [child for child in children if _runs(child)]) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert children
    assert not left


def _runs(process):
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"
