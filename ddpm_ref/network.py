"""A network as the diffusion's functions call it: its precision, its memory layout, and how it is run."""

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor, nn

from ddpm_ref.objective import Model
from ddpm_ref.presets import Config


def as_model(network: Callable[[Tensor, Tensor], Tensor], config: Config, device: torch.device) -> Model:
    """Run a network in the precision and memory layout of a configuration; it answers in float32.

    The diffusion's own arithmetic, before and after, is not under autocast.
    """
    layout = torch.channels_last if config.channels_last else torch.preserve_format

    def model(x: Tensor, t: Tensor) -> Tensor:
        with torch.autocast(device.type, torch.bfloat16, enabled=bool(config.amp)):
            return network(x.to(memory_format=layout), t).float()

    return model


def for_sampling(
    network: nn.Module,
    config: Config,
    device: torch.device,
    *,
    amp: bool = False,
    compile: bool | None = None,
) -> Model:
    """Make a trained network quick to call many times without gradients, as samplers and bounds do.

    In float32 the answers are the network's own but for round-off, whatever it was trained in.

    Args:
        network: on the device and in evaluation mode; its memory layout changes to what suits the device.
        config: of the run that trained it.
        device: where it runs.
        amp: whether it computes in bfloat16.
        compile: whether `torch.compile` makes it, once for each shape of a batch, with the overhead of each
            call reduced: on CUDA the calls are recorded as a graph and replayed. None: as suits the device.
    """
    switches = replace(config, amp=amp, channels_last=None, compile=compile).on(device)
    if switches.channels_last:
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    if not switches.compile:
        return as_model(network, switches, device)
    run = as_model(torch.compile(network, mode="reduce-overhead", dynamic=False), switches, device)

    def model(x: Tensor, t: Tensor) -> Tensor:
        torch.compiler.cudagraph_mark_step_begin()  # type: ignore[no-untyped-call]
        return run(x, t).clone()  # a graph that is replayed writes its answer over the last one

    return model
