"""Several processes that work as one, as `torchrun` starts them.

Everything random is drawn by every process for all of them, from generators in the same state, and each takes
its part. So a result does not depend, but for round-off, on how many processes there are.
"""

import os
import sys
from collections.abc import Callable
from datetime import timedelta
from importlib import import_module
from typing import NoReturn

import torch
import torch.distributed as dist
from torch import Tensor

from ddpm_ref.arguments import fail
from ddpm_ref.launch import LAUNCHED as LAUNCHED
from ddpm_ref.launch import MOST, variable
from ddpm_ref.launch import rank as rank
from ddpm_ref.launch import world as world

PATIENCE = timedelta(minutes=10)  # until a process that waits for another gives up


def local_device(device: torch.device) -> torch.device:
    """Give this process its own device, among those of its machine.

    Raises:
        ValueError: if the machine has fewer CUDA devices than processes, or the device cannot be shared.
    """
    if world() == 1 or device.type == "cpu":
        return device
    if device.type != "cuda":
        raise ValueError(f"device must be cpu or cuda for several processes; got {device.type}")
    local = variable("LOCAL_RANK", 0, MOST)
    if local >= (count := torch.cuda.device_count()):
        raise ValueError(
            f"processes must each have a CUDA device; here are {count}, and this is number {local}"
        )
    return torch.device("cuda", local)


def join(device: torch.device) -> None:
    """Wait for the other processes, if there are any.

    Raises:
        ValueError: if they do not meet.
    """
    if world() > 1:
        if device.type == "cuda":
            torch.cuda.set_device(device)
        # Imported later, its default arguments would hold the group, with its threads, until Python ends.
        import_module("torch.distributed.nn.functional")
        try:
            dist.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=PATIENCE)
        except (dist.DistError, ValueError) as error:
            raise ValueError(f"processes must meet at MASTER_ADDR and MASTER_PORT; {error}") from error


def leave() -> None:
    """Part from the other processes after work that went well; after a failure, end instead."""
    if dist.is_initialized():
        dist.barrier()  # none takes its connections down while another still uses them
        dist.destroy_process_group()


def end(code: int) -> NoReturn:
    """End this program with an exit code; at once where it has not parted from other processes.

    gloo's threads then still run. While Python takes itself down they may be stopped where they must not be,
    and the process ends by an abort instead.
    """
    if dist.is_initialized():
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


def lost(error: RuntimeError) -> bool:
    """Say whether an error is that of a process whose partner is gone, and not one of its own."""
    return isinstance(error, dist.DistError) or (world() > 1 and "gloo" in str(error))


def gone(program: str, error: RuntimeError, more: str = "") -> int:
    """Say in one line that another process is gone, and return the exit code 1.

    Raises:
        RuntimeError: the error itself, if that is not what it says.
    """
    if not lost(error):
        raise error
    why = str(error).partition(". ")[0]
    return fail(program, RuntimeError(f"another process is gone ({why}){more}"), 1)


def share(n: int) -> slice:
    """Give this process's part of n things; the parts are equal where `world()` divides n."""
    return slice(n * rank() // world(), n * (rank() + 1) // world())


def mean(value: Tensor) -> Tensor:
    """Average a tensor over the processes, elementwise; every process gets the same."""
    if world() == 1:
        return value
    total = value.clone()
    dist.all_reduce(total)
    return total / world()


def gather(part: Tensor) -> list[Tensor]:
    """Collect a tensor of one shape from every process, in order; every process gets all of them."""
    if world() == 1:
        return [part]
    part = part.contiguous()
    parts = [torch.empty_like(part) for _ in range(world())]
    dist.all_gather(parts, part)
    return parts


class Sharded:
    """A model whose batches are shared among the processes; every process gets the whole answer.

    A sampler or a bound that calls it runs in step on every process, with the same noise, while the network's
    work, nearly all there is, is divided. It is for evaluation only: gradients do not pass.
    """

    def __init__(self, model: Callable[[Tensor, Tensor], Tensor]) -> None:
        self.model = model

    def __call__(self, x: Tensor, t: Tensor) -> Tensor:
        """Call the model with this process's part of the batch, and collect the answers.

        Args:
            x: (B, ...), the same in every process; B need not be a multiple of the processes.
            t: (B,).
        """
        if world() == 1:
            return self.model(x, t)
        each = -(-len(x) // world())
        mine = torch.arange(each * rank(), each * (rank() + 1), device=x.device).clamp(max=len(x) - 1)
        with torch.no_grad():
            return torch.cat(gather(self.model(x[mine], t[mine])))[: len(x)]
