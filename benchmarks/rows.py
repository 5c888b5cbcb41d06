"""Run the documented commands of leaderboard entries, several at a time: train, predict, and say what each took.

    python benchmarks/rows.py unet sam-vit-b-random --jobs 8          # as their model.toml says
    python benchmarks/rows.py --lines FILE --jobs 8                   # any commands: one chain a line, joined by &&

Commands of one checkpoint run one after another, chains beside each other; one that starts from the weights of another
comes after it. `mitobench submit` is left out: it writes into the leaderboard, so it is for one process at the end
(`--submit`). A chain that fails stops, the others go on. Finished checkpoints and predictions are not made again.
"""

import argparse
import os
import shlex
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from mitobench.benchmark.model_card import read_model

ROOT = Path(__file__).resolve().parent.parent
LOCK = threading.Lock()
ONE_THREAD = {"OMP_NUM_THREADS": "1"}
"""Chains run beside each other; the environment may say otherwise."""


def chains_of(key: str, leaderboard: Path) -> list[list[str]]:
    """The commands of one entry, split wherever a new training begins."""
    chains: list[list[str]] = []
    for command in read_model(leaderboard / key / "model.toml").commands:
        if not chains or shlex.split(command)[1] == "finetune":
            chains.append([])
        chains[-1].append(command)
    return chains


def done_already(words: list[str]) -> bool:
    """Whether the folder that a command writes is finished."""
    if "--out" not in words:
        return False
    out = Path(words[words.index("--out") + 1])
    return any((out / name).is_file() for name in ("checkpoint.json", "prediction.zarr.zip"))


def run_chain(name: str, chain: list[str], log: Path) -> bool:
    """Run one chain; each command's output goes to its own file."""
    for number, command in enumerate(chain):
        words = shlex.split(command)
        if done_already(words):
            continue
        began = time.monotonic()
        words[:1] = [sys.executable, "-c", "from mitobench.cli import main; main()"]
        with (log / f"{name}.{number}.log").open("w") as file:
            status = subprocess.run(
                words, stdout=file, stderr=subprocess.STDOUT, env={**ONE_THREAD, **os.environ}, check=False
            ).returncode
        with LOCK:
            said = "" if status == 0 else f" FAILED ({status}), see {name}.{number}.log"
            print(f"{time.monotonic() - began:6.1f} s  {command}{said}", flush=True)
        if status:
            return False
    return True


def waves(named: list[tuple[str, list[str]]]) -> list[list[tuple[str, list[str]]]]:
    """Chains that start from the weights of others come after all of those."""
    made = {
        words[words.index("--out") + 1]
        for _, chain in named
        for words in map(shlex.split, chain)
        if "--out" in words
    }
    later = [
        one
        for one in named
        if any(
            word.partition("=")[2] in made
            for line in one[1]
            for word in shlex.split(line)
            if word.startswith("weights=")
        )
    ]
    return [[one for one in named if one not in later], later]


def main() -> None:
    """Run what was asked for; exits 1 when anything failed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("keys", nargs="*", help="entries")
    parser.add_argument("--lines", type=Path, help="a file of chains instead")
    parser.add_argument("--jobs", type=int, default=1, help="chains at a time")
    parser.add_argument(
        "--submit", action="store_true", help="only write the finished predictions into the leaderboard"
    )
    parser.add_argument("--leaderboard", type=Path, default=ROOT / "leaderboard")
    parser.add_argument("--log", type=Path, default=Path("runs/logs"))
    asked = parser.parse_args()
    asked.log.mkdir(parents=True, exist_ok=True)
    if asked.lines:
        named = [
            (f"{asked.lines.stem}-{number}", [part.strip() for part in line.split("&&")])
            for number, line in enumerate(asked.lines.read_text().splitlines())
            if line.strip() and not line.startswith("#")
        ]
    else:
        named = [
            (f"{key}-{number}", chain)
            for key in asked.keys
            for number, chain in enumerate(chains_of(key, asked.leaderboard))
        ]
    wanted = [
        (name, [one for one in chain if (shlex.split(one)[1] == "submit") == asked.submit])
        for name, chain in named
    ]
    began = time.monotonic()
    with ThreadPoolExecutor(1 if asked.submit else asked.jobs) as pool:
        ended = [
            done for wave in waves(wanted) for done in pool.map(lambda one: run_chain(*one, asked.log), wave)
        ]
    print(f"{sum(ended)} of {len(ended)} chains finished in {time.monotonic() - began:.0f} s", flush=True)
    sys.exit(not all(ended))


if __name__ == "__main__":
    main()
