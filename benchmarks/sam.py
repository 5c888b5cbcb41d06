"""SAM's encoder and its training beside their peers: images a second, memory, share of what arithmetic alone takes.

    python benchmarks/sam.py [--device cpu] [--quick] [--out benchmarks/results/sam.md]

Every variant holds the same random weights and sees the same images. On a CPU: ViT-B at 256 and 512 pixels, one thread,
seconds of processor time, each variant in a process of its own, so that peak memory is its own. On CUDA: all sizes at
1024 and 512, bf16 and fp32, seconds of wall time. What was not run is listed as not measured yet.
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

VARIANTS = ("mitobench", "segment-anything", "transformers", "segment-anything-fast")
SIZES = ("sam-vit-b", "sam-vit-l", "sam-vit-h")
GFLOP = {  # forward, by the counter of torch on meta tensors, one multiply-add = 2
    "sam-vit-b": {1024: 972, 512: 227, 448: 147, 256: 69},
    "sam-vit-l": {1024: 2986, 512: 794, 448: 500, 256: 259},
    "sam-vit-h": {1024: 5961, 512: 1639, 448: 1026, 256: 542},
}
PASSES = {"forward": 1, "forward and backward": 3}
"""And how often each does the forward pass's arithmetic."""
JOBS_CPU = [("sam-vit-b", side, 1) for side in (256, 512)]
JOBS_CUDA = [(size, side, 4096 // side) for size in SIZES for side in (1024, 512)]


def encoder(variant: str, size: str, side: int) -> Any:
    """A callable that maps (n, 3, side, side) normalised images to embeddings."""
    import torch

    from mitobench.baselines.sam.model import SamModel
    from mitobench.baselines.sam.shapes import SHAPES

    shape = SHAPES[size].__class__(**{**vars(SHAPES[size]), "image_size": side})
    torch.manual_seed(0)
    ours = SamModel(shape)
    if variant == "mitobench":
        return ours.image_encoder
    if variant == "segment-anything":
        from functools import partial

        from segment_anything.modeling import ImageEncoderViT

        plain = ImageEncoderViT(
            img_size=side,
            embed_dim=shape.embed_dim,
            depth=shape.depth,
            num_heads=shape.heads,
            out_chans=shape.prompt_dim,
            norm_layer=partial(torch.nn.LayerNorm, eps=1e-6),
            use_rel_pos=True,
            window_size=shape.window,
            global_attn_indexes=shape.global_blocks,
        )
        plain.load_state_dict(ours.image_encoder.state_dict())
        return plain
    if variant == "transformers":
        import transformers

        config = transformers.SamVisionConfig(
            hidden_size=shape.embed_dim,
            num_hidden_layers=shape.depth,
            num_attention_heads=shape.heads,
            image_size=side,
            global_attn_indexes=list(shape.global_blocks),
            window_size=shape.window,
            mlp_dim=4 * shape.embed_dim,
            num_pos_feats=128,
        )
        return transformers.SamVisionModel(config)
    from segment_anything_fast import sam_model_fast_registry  # takes its native 1024 pixels only

    if side != 1024:
        raise ImportError("takes 1024 pixels only")
    return sam_model_fast_registry[size[4:].replace("-", "_")]().image_encoder


def measure(
    variant: str, size: str, side: int, batch: int, device: str, bf16: bool
) -> dict[str, dict[str, float]]:
    """Seconds per image and peak memory of forward, then of forward and backward, in a process of its own."""
    import torch

    cuda = torch.device(device).type == "cuda"
    if not cuda:
        torch.set_num_threads(1)
    else:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    net = encoder(variant, size, side).to(device)
    images = torch.randn(batch, 3, side, side, generator=torch.Generator().manual_seed(0)).to(device)
    clock = time.perf_counter if cuda else time.process_time
    rate = matmul_rate(device, bf16)

    def once(train: bool) -> float:
        began = clock()
        with (
            torch.set_grad_enabled(train),
            torch.autocast(torch.device(device).type, dtype=torch.bfloat16, enabled=bf16),
        ):
            found = net(images)
            found = found if isinstance(found, torch.Tensor) else found[0]
        if train:
            torch.autograd.backward(found.float().square().mean())
            net.zero_grad(set_to_none=True)
        if cuda:
            torch.cuda.synchronize()
        return clock() - began

    answers = {}
    for name in PASSES:
        net.train(name != "forward")
        once(name != "forward")
        taken = min(once(name != "forward") for _ in range(8 if cuda else 2))
        used = (
            torch.cuda.max_memory_allocated()
            if cuda
            else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        )
        answers[name] = {"seconds": taken / batch, "peak": float(used), "rate": rate}
    return answers


def matmul_rate(device: str, bf16: bool) -> float:
    """FLOP a second of one large product of matrices, the floor's clock."""
    import torch

    cuda = torch.device(device).type == "cuda"
    side = 8192 if cuda else 1024
    a = torch.randn(side, side, device=device, dtype=torch.bfloat16 if bf16 else torch.float32)
    best = float("inf")
    for _ in range(6):
        if cuda:
            torch.cuda.synchronize()
        began = time.perf_counter() if cuda else time.process_time()
        _ = a @ a
        if cuda:
            torch.cuda.synchronize()
        best = min(best, (time.perf_counter() if cuda else time.process_time()) - began)
    return 2 * side**3 / best


def run(job: dict[str, Any]) -> dict[str, dict[str, float]] | str:
    """One measurement, on a CPU in another process; the reason where it fails."""
    if str(job["device"]).startswith("cuda"):  # counts its own memory, and imports take longer than runs
        try:
            return measure(**job)
        except (ImportError, RuntimeError) as error:
            return f"{type(error).__name__}: {str(error).splitlines()[0]}"
    done = subprocess.run(
        [sys.executable, __file__, "--job", json.dumps(job)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        return (done.stderr.strip().splitlines() or ["killed"])[-1]
    found: dict[str, dict[str, float]] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def main() -> None:
    """Measure, print the table, and write it where asked."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="cpu")
    parser.add_argument(
        "--quick", action="store_true", help="the smallest size alone; on a CPU the smallest image too"
    )
    parser.add_argument("--out", type=Path)
    parser.add_argument("--job", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.job:
        print(json.dumps(measure(**json.loads(asked.job))))
        return
    cuda = asked.device.startswith("cuda")
    jobs = JOBS_CUDA if cuda else JOBS_CPU
    lines = [
        f"Printed by `python benchmarks/sam.py --device {asked.device}{' --quick' * asked.quick}`; random weights; "
        + ("wall seconds." if cuda else "processor seconds of one thread, the best of two rounds."),
        "",
        "| encoder | pixels | pass | precision | variant | images/s | x plain | peak memory, GB | x FLOP floor |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for size, side, batch in jobs[:2] if asked.quick and cuda else jobs[:1] if asked.quick else jobs:
        for bf16 in (True, False) if cuda else (False,):
            job = {"size": size, "side": side, "batch": batch, "device": asked.device, "bf16": bf16}
            found = {variant: run({"variant": variant, **job}) for variant in VARIANTS}
            plain = found["segment-anything"]
            for name, times in PASSES.items():
                for variant, one in found.items():
                    head = f"| {size[4:]} | {side} | {name} | {'bf16' if bf16 else 'fp32'} | {variant} |"
                    if isinstance(one, str) or isinstance(plain, str):
                        lines.append(f"{head} not measured: {one if isinstance(one, str) else plain} | | | |")
                        continue
                    here, there = one[name], plain[name]
                    floor = GFLOP[size][side] * 1e9 * times / here["rate"]
                    lines.append(
                        f"{head} {1 / here['seconds']:.3g} | {there['seconds'] / here['seconds']:.2f} | "
                        f"{here['peak'] / 1e9:.2f} | {here['seconds'] / floor:.2f} |"
                    )
                    print(lines[-1], flush=True)
    lines += [
        f"| {size[4:]} | {side} | both | fp32 | all | not measured yet: leave out --quick | | | |"
        for size, side, _ in (jobs[1:] if asked.quick else [])
    ]
    if not cuda:
        lines += [
            f"| {size[4:]} | {side} | both | both | all, on CUDA | not measured yet: no GPU; "
            "`python benchmarks/sam.py --device cuda` | | | |"
            for size, side, _ in JOBS_CUDA
        ]
    text = "\n".join([*lines, ""])
    print(text)
    if asked.out is not None:
        asked.out.write_text(text)


if __name__ == "__main__":
    main()
