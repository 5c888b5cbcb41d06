"""How torch runs here: threads, precision, evaluation mode, seeds. No model and no training lives here."""

import contextlib
from collections.abc import Iterator

import torch
from torch import nn

from mitobench.errors import BadInputError


@contextlib.contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """Use `count` CPU threads inside, the former number again outside; 0 leaves them alone.

    One thread is the right number for small networks: on a shared two-core machine two threads did a tenth of the
    steps in the same processor time, because they wait for each other.
    """
    before = torch.get_num_threads()
    if count and count != before:
        torch.set_num_threads(count)
    try:
        yield
    finally:
        if torch.get_num_threads() != before:
            torch.set_num_threads(before)


@contextlib.contextmanager
def evaluating(net: nn.Module) -> Iterator[None]:
    """Evaluation mode inside, the former mode again outside."""
    before = net.training
    net.eval()
    try:
        yield
    finally:
        net.train(before)


@contextlib.contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Torch's random numbers start at `seed` inside; outside they go on as if nothing had happened."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


def autocast(device: str, bf16: bool) -> torch.autocast:
    """bfloat16 where a network allows it, or plain float32."""
    return torch.autocast(device_type=torch.device(device).type, dtype=torch.bfloat16, enabled=bf16)


def check_device(device: str) -> str:
    """The device by name, after asking whether it is there.

    Raises:
        BadInputError: It is not a torch device, or this machine does not have it.
    """
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        first = str(error).splitlines()[0]
        raise BadInputError(
            f"Device {device!r} cannot be used: {first} Expected cpu, cuda or cuda:N; try device cpu."
        ) from error
    return device


def use_bf16(precision: str, device: str) -> bool:
    """Whether to run in bfloat16.

    Args:
        precision: "bf16", "fp32", or "auto": bfloat16 where the processor has instructions for it.
        device: Where it will run.

    Returns:
        True for bfloat16.
    """
    if precision != "auto":
        return precision == "bf16"
    if torch.device(device).type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    asks = (
        getattr(torch.cpu, name, None) for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    )
    return any(bool(ask()) for ask in asks if ask is not None)
