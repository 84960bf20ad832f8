"""A network as samplers call it: precision, layout and compiler change round-off and nothing else."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from ddpm_ref.network import for_sampling
from ddpm_ref.presets import Config, resolve
from ddpm_ref.sampler import ancestral
from ddpm_ref.unet import UNet, UNetConfig

CPU = torch.device("cpu")
NARROW = replace(
    resolve("smoke", T=8),
    unet=UNetConfig(8, 1, width=8, multipliers=(1,), attention_at=(), res_blocks=1, dropout=0.0),
)
WIDE = replace(NARROW, unet=replace(NARROW.unet, width=128))
# float32's unit round-off is 6e-8; it grows with the depth, here by far less than a hundred times.
ROUND_OFF = 6e-6


def network(config: Config) -> UNet:
    """A network none of whose layers answers zero."""
    torch.manual_seed(0)
    unet = UNet(config.unet).eval()
    for parameter in unet.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    return unet


def batch(n: int, seed: int, device: torch.device = CPU) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(n, 1, 8, 8, generator=generator)
    return x.to(device), torch.randint(1, 9, (n,), generator=generator).to(device)


def distance(a: Tensor, b: Tensor) -> float:
    return float((a - b).norm() / b.norm())


@pytest.mark.parametrize("config", [NARROW, WIDE], ids=["narrow", "wide"])
def test_a_run_is_sampled_in_float32_whatever_it_was_trained_in(config: Config) -> None:
    unet = network(config)
    x, t = batch(4, 1)
    with torch.no_grad():
        plain = unet(x, t)
        answer = for_sampling(unet, replace(config, amp=True, compile=True), CPU, compile=False)(x, t)
    assert answer.dtype == torch.float32
    assert distance(answer, plain) < ROUND_OFF
    laid_out = unet.conv_out.weight.is_contiguous(memory_format=torch.channels_last)
    assert laid_out is (config is WIDE)


def test_bfloat16_is_the_networks_alone() -> None:
    unet = network(NARROW)
    inside: list[torch.dtype] = []
    unet.conv_out.register_forward_hook(lambda *call: inside.append(call[2].dtype))
    answer = for_sampling(unet, NARROW, CPU, amp=True)(*batch(4, 1))
    assert (inside, answer.dtype) == ([torch.bfloat16], torch.float32)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning:torch")  # of what the compiler imports
def test_a_compiled_network_answers_as_before_to_every_shape_of_a_batch() -> None:
    unet = network(NARROW)
    compiled = for_sampling(unet, NARROW, CPU, compile=True)
    for n, seed in ((4, 1), (4, 2), (3, 3)):
        x, t = batch(n, seed)
        with torch.no_grad():
            assert 0 < distance(compiled(x, t), unet(x, t)) < ROUND_OFF


@pytest.mark.gpu
@pytest.mark.filterwarnings("ignore::DeprecationWarning:torch")
def test_a_replayed_graph_samples_what_its_calls_sample_and_keeps_its_earlier_answers() -> None:
    cuda = torch.device("cuda")
    unet = network(NARROW).to(cuda)
    replayed, called = (for_sampling(unet, NARROW, cuda, compile=compile) for compile in (True, False))
    x_T, t = batch(4, 1, cuda)
    with torch.no_grad():
        first = replayed(x_T, t)
        kept = first.clone()
        replayed(batch(4, 2, cuda)[0], t)
    assert torch.equal(first, kept)

    def drawn(model: object) -> Tensor:
        generator = torch.Generator(cuda).manual_seed(3)
        *_, last = ancestral(model, NARROW.schedule(), x_T, generator=generator)  # type: ignore[arg-type]
        return last.x

    assert distance(drawn(replayed), drawn(called)) < 100 * ROUND_OFF  # eight steps, each adding its own
