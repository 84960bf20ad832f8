"""Who is measured: our training step and sampler, and other people's as their own examples take them.

Each is a callable that takes a batch of clean images in [-1, 1] and does one step, or samples. As a program
this is one contender in a process of its own: `python benchmarks/contenders.py KIND NAME`.
"""

import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from peak import peak_memory
from torch import Tensor, nn
from turns import Step, serve

from ddpm_ref.arguments import Parser, integer
from ddpm_ref.interop.diffusers import wrap, write
from ddpm_ref.memory import keep_freed_memory
from ddpm_ref.network import as_model, for_sampling
from ddpm_ref.objective import Model
from ddpm_ref.presets import PRESETS, Config
from ddpm_ref.sampler import ancestral
from ddpm_ref.schedule import linear
from ddpm_ref.trainer import Trainer
from ddpm_ref.unet import UNet

T = 1000
SAMPLING_STEPS = 5  # of the reverse process


def diffusers_pipeline(config: Config, ours: UNet, device: torch.device) -> Any:
    """Load our weights as diffusers' `DDPMPipeline`, by way of files as anyone would."""
    diffusers = import_module("diffusers")
    diffusers.utils.logging.set_verbosity_error()  # it recommends packages
    diffusers.utils.logging.disable_progress_bar()
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder), config, ours)
        pipeline = diffusers.DDPMPipeline.from_pretrained(folder).to(device)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def diffusers_step(config: Config, ours: UNet, device: torch.device, bfloat16: bool) -> Step:
    """Take the step of diffusers' example for unconditional generation: AdamW, clipping, `EMAModel`."""
    pipeline = diffusers_pipeline(config, ours, device)
    network, scheduler = pipeline.unet.train(), pipeline.scheduler
    optimizer = torch.optim.AdamW(
        network.parameters(), lr=1e-4, betas=(0.95, 0.999), weight_decay=1e-6, eps=1e-8
    )
    average = import_module("diffusers.training_utils").EMAModel(
        network.parameters(), decay=0.9999, use_ema_warmup=True, inv_gamma=1.0, power=0.75
    )
    average.to(device)

    def step(x_0: Tensor) -> float:
        noise = torch.randn_like(x_0)
        timesteps = torch.randint(0, T, (len(x_0),), device=device)
        noisy = scheduler.add_noise(x_0, noise, timesteps)
        with torch.autocast(device.type, torch.bfloat16, enabled=bfloat16):
            prediction = network(noisy, timesteps).sample
        loss = torch.nn.functional.mse_loss(prediction.float(), noise)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        average.step(network.parameters())
        return loss.detach().item()

    return step


def lucidrains_network(device: torch.device) -> nn.Module:
    """Make the network of denoising-diffusion-pytorch with the widths of the paper's."""
    package = import_module("ddpm_ref.conformance.adapters.lucidrains").package
    network: nn.Module = package.Unet(dim=128, dim_mults=(1, 2, 2, 2), flash_attn=False, dropout=0.1)
    return network.to(device)


def lucidrains_step(config: Config, ours: UNet, device: torch.device, bfloat16: bool) -> Step:
    """Take the step of denoising-diffusion-pytorch's own trainer, with its own U-Net of the same widths.

    That network is another one: its attention is linear at all levels but the last, and its blocks differ. It
    shares no weights with ours.
    """
    package = import_module("ddpm_ref.conformance.adapters.lucidrains").package
    network = lucidrains_network(device)
    diffusion = package.GaussianDiffusion(network, image_size=32, timesteps=T, objective="pred_noise").to(
        device
    )
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-4, betas=(0.9, 0.99))
    average = import_module("ema_pytorch").EMA(diffusion, beta=0.995, update_every=10).to(device)

    def step(x_0: Tensor) -> float:
        with torch.autocast(device.type, torch.bfloat16, enabled=bfloat16):
            loss = diffusion(x_0 / 2 + 0.5)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(diffusion.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        average.update()
        return float(loss.item())

    return step


def configuration(batch_size: int, bfloat16: bool) -> Config:
    """Give the CIFAR-10 preset, with the switches that suit it left to the device."""
    preset = PRESETS["cifar10"]
    return replace(preset, steps=10**9, batch_size=batch_size, amp=bfloat16, flips=False)


def awake(unet: UNet) -> UNet:
    """Replace the weights that start near zero, so that two networks that agree do so for a reason."""
    generator = torch.Generator().manual_seed(0)
    for parameter in unet.parameters():
        with torch.no_grad():
            fresh = torch.randn(parameter.shape, generator=generator).to(parameter)
            parameter.copy_(fresh * (parameter[0].numel() ** -0.5 if parameter.ndim > 1 else 0.1))
            if parameter.ndim == 1:
                parameter.add_(0.5)
    return unet


def our_step(config: Config, device: torch.device, images: Tensor) -> Step:
    """Take the step of `ddpm_ref.train`, all of it."""
    updates = Trainer(config, images, device).updates()
    return lambda x_0: next(updates)


def network_step(model: Callable[[Tensor, Tensor], Tensor], parameters: Any, device: torch.device) -> Step:
    """Run a network forward and backward, and nothing else."""
    parameters = list(parameters)

    def step(x_0: Tensor) -> None:
        t = torch.randint(1, 1001, (len(x_0),), device=device)
        model(x_0, t).float().square().mean().backward()  # type: ignore[no-untyped-call]
        for parameter in parameters:
            parameter.grad = None

    return step


def training(batch_size: int, device: torch.device) -> dict[str, Callable[[], Step]]:
    """Say how to set up every contender; the first is what the others are compared with."""
    torch.manual_seed(0)
    images = torch.rand(8 * batch_size, 3, 32, 32) * 2 - 1
    ours = awake(UNet(PRESETS["cifar10"].unet))
    config = configuration(batch_size, False)
    half = configuration(batch_size, True)

    def alone(config: Config) -> Step:
        config = config.on(device)
        model = UNet(config.unet)
        model.load_state_dict(ours.state_dict())
        if config.channels_last:
            model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        model.to(device)
        run = torch.compile(model) if config.compile else model
        return network_step(as_model(run, config, device), model.parameters(), device)

    def theirs_alone() -> Step:
        network = diffusers_pipeline(config, ours, device).unet.train()
        return network_step(wrap(network), network.parameters(), device)

    setups: dict[str, Callable[[], Step]] = {
        "diffusers, float32": lambda: diffusers_step(config, ours, device, False),
        "ddpm_ref, float32": lambda: our_step(config, device, images),
        "ddpm_ref, float32, in 4 parts": lambda: our_step(replace(config, accumulate=4), device, images),
        "diffusers, bfloat16": lambda: diffusers_step(config, ours, device, True),
        "ddpm_ref, bfloat16": lambda: our_step(half, device, images),
        "diffusers, float32, network alone": theirs_alone,
        "ddpm_ref, float32, network alone": lambda: alone(config),
        "ddpm_ref, bfloat16, network alone": lambda: alone(half),
    }
    if find_spec("denoising_diffusion_pytorch"):
        setups["denoising-diffusion-pytorch, float32"] = lambda: lucidrains_step(config, ours, device, False)
        setups["denoising-diffusion-pytorch, bfloat16"] = lambda: lucidrains_step(config, ours, device, True)
    return setups


def sampling(batch_size: int, device: torch.device) -> dict[str, Callable[[], Step]]:
    """Say how to set up the reverse process of a few steps, and the bare calls of the network in it."""
    ours = awake(UNet(PRESETS["cifar10"].unet)).to(device).eval()
    config = replace(configuration(batch_size, False), T=SAMPLING_STEPS)
    schedule = linear(SAMPLING_STEPS, *config.beta)

    def theirs() -> Step:
        pipeline = diffusers_pipeline(config, ours, device)
        return lambda x: pipeline(batch_size=batch_size, num_inference_steps=SAMPLING_STEPS, output_type="pt")

    def network(bfloat16: bool) -> Model:
        model = UNet(config.unet).to(device).eval()
        model.load_state_dict(ours.state_dict())
        return for_sampling(model, config, device, amp=bfloat16)

    def sample(bfloat16: bool) -> Step:
        run = network(bfloat16)
        return lambda x: [None for _ in ancestral(run, schedule, x)]

    def bare(bfloat16: bool) -> Step:
        run, t = network(bfloat16), torch.ones(batch_size, dtype=torch.long, device=device)

        def step(x: Tensor) -> None:
            with torch.no_grad():
                for _ in range(SAMPLING_STEPS):
                    run(x, t)

        return step

    return {
        "diffusers, float32": theirs,
        "ddpm_ref, float32": lambda: sample(False),
        "bare calls, float32": lambda: bare(False),
        "ddpm_ref, bfloat16": lambda: sample(True),
        "bare calls, bfloat16": lambda: bare(True),
    }


KINDS = {"training": training, "sampling": sampling}


def peak(step: Step, x_0: Tensor) -> float:
    """Take three steps and return the most memory that this process has held, on its device, in bytes."""
    for _ in range(3):
        step(x_0)
    if x_0.device.type == "cuda":
        return float(torch.cuda.max_memory_allocated())
    return peak_memory()


def main() -> int:
    """Be one contender: print its peak memory, or take a step for every line on standard input."""
    parser = Parser(description=main.__doc__)
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("name")
    parser.add_argument("--batch-size", type=integer(1), default=16)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=integer(1))
    parser.add_argument("--peak", action="store_true", help="print the peak memory in bytes")
    parser.add_argument("--give-back", action="store_true", help="keep no memory that tensors give back")
    given = parser.parse_or_exit()
    device = torch.device(given.device)
    if given.threads:
        torch.set_num_threads(given.threads)
    if device.type == "cpu" and given.name.startswith("ddpm_ref") and not given.give_back:
        keep_freed_memory()  # as our programs do, and theirs do not
    step = KINDS[given.kind](given.batch_size, device)[given.name]()
    x_0 = torch.rand(given.batch_size, 3, 32, 32, device=device) * 2 - 1
    if given.peak:
        print(peak(step, x_0))
    else:
        serve(step, x_0)
    return 0


if __name__ == "__main__":
    sys.exit(main())
