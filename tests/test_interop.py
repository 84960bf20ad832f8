"""diffusers' files are read and written as diffusers itself reads and writes them.

Random weights, none of them zero, so that every path through the network contributes.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from ddpm_ref import sampler
from ddpm_ref.checkpoint import read_run, write_json, write_weights
from ddpm_ref.interop import diffusers as interop
from ddpm_ref.interop.settings import config_here
from ddpm_ref.presets import Config
from ddpm_ref.process import p_mean_variance
from ddpm_ref.unet import UNet, UNetConfig, time_embedding
from tests.test_walls import imported

SMALL = UNetConfig(8, 2, width=16, multipliers=(1, 2), attention_at=(4,), res_blocks=1, dropout=0.1, groups=4)
OLD = ((".to_q.", ".query."), (".to_k.", ".key."), (".to_v.", ".value."), (".to_out.0.", ".proj_attn."))


def config_for(unet: UNetConfig, **settings: Any) -> Config:
    learned = {"variance": "learned", "loss": "hybrid"} if unet.learned_variance else {}
    return Config(preset="imported", source="unknown", unet=unet, **(learned | settings))


def awake(unet: UNetConfig, seed: int = 0) -> UNet:
    """Make a network of which every weight is random and of a size that keeps activations near one."""
    generator = torch.Generator().manual_seed(seed)
    model = UNet(unet).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            scale = parameter[0].numel() ** -0.5 if parameter.ndim > 1 else 0.3
            parameter.copy_(scale * torch.randn(parameter.shape, generator=generator))
            if parameter.ndim == 1 and name.endswith("weight"):
                parameter.add_(1)
    return model


def written(folder: Path, unet: UNetConfig = SMALL, **settings: Any) -> UNet:
    model = awake(unet)
    folder.mkdir(exist_ok=True)
    interop.write(folder, config_for(unet, **settings), model)
    return model


def change(path: Path, **settings: Any) -> None:
    """Change settings in a file of JSON; None in place of a value is JSON's null, `...` removes."""
    values = json.loads(path.read_text()) | settings
    path.write_text(json.dumps({name: value for name, value in values.items() if value is not ...}))


def as_of_2022(folder: Path) -> None:
    """Rename the tensors of attention, and lay the files side by side, as google/ddpm-cifar10-32 has them."""
    tensors = load_file(folder / "unet" / interop.WEIGHTS)
    for new, old in OLD:
        tensors = {name.replace(new, old): tensor for name, tensor in tensors.items()}
    save_file(tensors, folder / interop.WEIGHTS)
    (folder / "unet" / "config.json").rename(folder / "config.json")
    (folder / "scheduler" / "scheduler_config.json").rename(folder / "scheduler_config.json")
    (folder / "unet" / interop.WEIGHTS).unlink()
    (folder / "unet").rmdir()
    (folder / "scheduler").rmdir()


def inputs(unet: UNetConfig, n: int = 2) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(n, unet.channels, unet.image_size, unet.image_size, generator=generator)
    return x, torch.tensor([1, 1000] * (n // 2))


# -- without diffusers ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("old", [False, True])
@pytest.mark.parametrize(
    ("unet", "settings"),
    [
        (SMALL, {}),
        (SMALL, {"prediction": "v", "beta_schedule": "cosine", "clip": False, "T": 50}),
        (SMALL, {"prediction": "x0", "variance": "fixed_small", "beta": (0.001, 0.3)}),
        (
            UNetConfig(
                16, 1, width=8, multipliers=(1, 1, 3), attention_at=(16, 8), groups=2, learned_variance=True
            ),
            {},
        ),
    ],
)
def test_what_is_written_is_read_back(tmp_path: Path, unet: UNetConfig, settings: Any, old: bool) -> None:
    model = written(tmp_path, unet, **settings)
    if old:
        as_of_2022(tmp_path)
    config, again = interop.read(tmp_path)
    assert config == config_for(unet, **settings)
    assert again.state_dict().keys() == model.state_dict().keys()
    for name, tensor in model.state_dict().items():
        assert torch.equal(again.state_dict()[name], tensor), name


def test_the_released_configuration_is_the_papers_network(tmp_path: Path) -> None:
    """As google/ddpm-cifar10-32 states it, with the settings that did not exist then left out."""
    network = {
        "act_fn": "silu", "attention_head_dim": None, "block_out_channels": [128, 256, 256, 256],
        "center_input_sample": False, "downsample_padding": 0, "flip_sin_to_cos": False, "freq_shift": 1,
        "down_block_types": ["DownBlock2D", "AttnDownBlock2D", "DownBlock2D", "DownBlock2D"],
        "in_channels": 3, "layers_per_block": 2, "mid_block_scale_factor": 1, "norm_eps": 1e-6,
        "norm_num_groups": 32, "out_channels": 3, "sample_size": 32, "time_embedding_type": "positional",
        "up_block_types": ["UpBlock2D", "UpBlock2D", "AttnUpBlock2D", "UpBlock2D"],
    }  # fmt: skip
    process = {
        "beta_end": 0.02, "beta_schedule": "linear", "beta_start": 0.0001, "clip_sample": True,
        "num_train_timesteps": 1000, "trained_betas": None, "variance_type": "fixed_large",
    }  # fmt: skip
    write_json(tmp_path / "config.json", {"_class_name": "UNet2DModel", **network})
    write_json(tmp_path / "scheduler_config.json", {"_class_name": "DDPMScheduler", **process})
    config = config_here(tmp_path / "config.json", tmp_path / "scheduler_config.json")
    assert config == config_for(UNetConfig(dropout=0.0, groups=32))


@pytest.mark.parametrize(
    ("setting", "value", "message"),
    [
        ("downsample_padding", 1, "downsample_padding must be 0; .* has 1"),
        ("downsample_padding", ..., "has 1, which diffusers takes where the file is silent"),
        ("flip_sin_to_cos", True, "flip_sin_to_cos must be false"),
        ("freq_shift", 0, "freq_shift must be 1"),
        ("attention_head_dim", 8, "attention_head_dim must be null"),
        ("attention_head_dim", ..., "attention_head_dim must be null; .* has 8, which diffusers takes"),
        ("norm_eps", 1e-5, "norm_eps must be 1e-06; .* has 1e-05"),
        ("act_fn", "gelu", 'act_fn must be "silu"'),
        ("center_input_sample", True, "center_input_sample must be false"),
        ("resnet_time_scale_shift", "scale_shift", "resnet_time_scale_shift must be"),
        ("class_embed_type", "timestep", "class_embed_type must be null"),
        ("add_attention", False, "add_attention must be true"),
        ("brand_new", 3, "brand_new is a setting that is not known here"),
        ("sample_size", None, "sample_size must be one integer"),
        ("sample_size", ..., "sample_size must be given"),
        (
            "down_block_types",
            ["DownBlock2D", "SkipDownBlock2D"],
            "down_block_types must be one of DownBlock2D",
        ),
        ("up_block_types", ["UpBlock2D", "UpBlock2D"], "up_block_types must mirror down_block_types"),
        ("block_out_channels", [16, 24], "block_out_channels must be multiples of the first"),
        ("out_channels", 3, "out_channels must be in_channels = 2 or twice that"),
        ("out_channels", 4, "out_channels must be twice in_channels where variance_type is learned_range"),
        ("norm_num_groups", 3, "groups must divide the width, 16"),
    ],
)
def test_a_setting_of_the_network_that_changes_it_is_named(
    tmp_path: Path, setting: str, value: object, message: str
) -> None:
    written(tmp_path)
    change(tmp_path / "unet" / "config.json", **{setting: value})
    with pytest.raises(ValueError, match=message):
        interop.read(tmp_path)


@pytest.mark.parametrize(
    ("setting", "value", "message"),
    [
        ("thresholding", True, "thresholding must be false"),
        ("clip_sample_range", 2.0, "clip_sample_range must be 1.0"),
        ("rescale_betas_zero_snr", True, "rescale_betas_zero_snr must be false"),
        ("trained_betas", [0.1], "trained_betas must be null"),
        ("beta_schedule", "scaled_linear", "beta_schedule must be one of linear, squaredcos_cap_v2"),
        ("variance_type", "learned", "variance_type must be one of fixed_small"),
        ("variance_type", "learned_range", "out_channels must be twice in_channels"),
        ("prediction_type", "flow", "prediction_type must be one of epsilon"),
        ("_class_name", "DDIMScheduler", "_class_name must be .DDPMScheduler."),
        ("beta_end", 2, "beta_start and beta_end must be two numbers"),
        ("num_train_timesteps", "many", "num_train_timesteps must be an integer; got 'many'"),
    ],
)
def test_a_setting_of_the_process_that_changes_it_is_named(
    tmp_path: Path, setting: str, value: object, message: str
) -> None:
    written(tmp_path)
    change(tmp_path / "scheduler" / "scheduler_config.json", **{setting: value})
    with pytest.raises(ValueError, match=message):
        interop.read(tmp_path)


def rewrite(folder: Path, edit: Callable[[dict[str, Tensor]], None]) -> None:
    path = folder / "unet" / interop.WEIGHTS
    tensors = load_file(path)
    edit(tensors)
    save_file(tensors, path)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda w: w.pop("conv_in.bias"), r"first conv_in\.bias: absent in the file"),
        (lambda w: w.update(extra=torch.zeros(1)), "first extra: .* absent in the model"),
        (lambda w: w.update({"conv_out.bias": torch.zeros(5)}), r"first conv_out\.bias: \(5,\) in the file"),
        (lambda w: w["conv_out.bias"].fill_(float("nan")), r"NaN or infinity in conv_out\.bias"),
    ],
)
def test_weights_that_do_not_fit_are_named(
    tmp_path: Path, edit: Callable[[dict[str, Tensor]], None], message: str
) -> None:
    written(tmp_path)
    rewrite(tmp_path, edit)
    with pytest.raises(ValueError, match=message):
        interop.read(tmp_path)


def test_a_pickle_is_refused_with_the_command_that_converts_it(tmp_path: Path) -> None:
    written(tmp_path)
    path = tmp_path / "unet" / interop.WEIGHTS
    torch.save({}, tmp_path / "unet" / "diffusion_pytorch_model.bin")
    path.unlink()
    with pytest.raises(ValueError, match=r"a pickle, which can run code .* python -c .*save_pretrained"):
        interop.read(tmp_path)
    torch.save({}, path)
    with pytest.raises(ValueError, match="is a pickle"):
        interop.read(tmp_path)
    path.write_bytes(b"nothing of the kind")
    with pytest.raises(ValueError, match="damaged or none"):
        interop.read(tmp_path)


@pytest.mark.parametrize(
    "missing", ["unet/config.json", "scheduler/scheduler_config.json", f"unet/{interop.WEIGHTS}"]
)
def test_a_missing_file_is_named(tmp_path: Path, missing: str) -> None:
    written(tmp_path)
    (tmp_path / missing).unlink()
    with pytest.raises(ValueError, match=Path(missing).name.replace(".", r"\.")):
        interop.read(tmp_path)


@pytest.mark.parametrize("content", ["{", "[]"])
def test_a_configuration_that_is_none_is_named(tmp_path: Path, content: str) -> None:
    written(tmp_path)
    (tmp_path / "unet" / "config.json").write_text(content)
    with pytest.raises(ValueError, match=r"config\.json must"):
        interop.read(tmp_path)


def test_what_diffusers_cannot_express_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="prediction must be one of eps, x0, v for diffusers; got mu"):
        interop.write(tmp_path, config_for(SMALL, prediction="mu"), awake(SMALL))
    uneven = UNetConfig(8, 1, width=32, multipliers=(1, 2), attention_at=(4,))
    with pytest.raises(ValueError, match=r"groups must be the same .* got \[8, 16, 32\]"):
        interop.write(tmp_path, config_for(uneven), awake(uneven))
    assert list(tmp_path.iterdir()) == []


def test_the_commands_take_a_run_there_and_back(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run, folder, back = tmp_path / "run", tmp_path / "folder", tmp_path / "back"
    run.mkdir()
    config, model = config_for(SMALL, T=30), awake(SMALL)
    write_json(run / "config.json", config.to_dict())
    write_weights(run / "ema.safetensors", model, 7)
    assert interop.main(["export", str(run), "--out", str(folder)]) == 0
    assert interop.main(["import", str(folder), "--out", str(back), "--source", "patches"]) == 0
    assert f"python -m ddpm_ref.sample --run {back}" in capsys.readouterr().out
    again, same, _ = read_run(back)
    assert (again.T, again.source, again.unet) == (30, "patches", SMALL)
    assert torch.equal(same.conv_in.weight, model.conv_in.weight)


@pytest.mark.parametrize(
    "arguments", [[], ["import"], ["import", "nowhere", "--out", "x"], ["export", "nowhere", "--out", "x"]]
)
def test_a_wrong_command_says_so_in_one_line(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert interop.main(arguments) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_reading_and_writing_need_no_diffusers() -> None:
    package = Path(interop.__file__).parent
    assert {name for path in package.glob("*.py") for name in imported(path.read_text())} & {
        "diffusers"
    } == set()


# -- with diffusers ------------------------------------------------------------------------------------------


def their_network(folder: Path) -> Any:
    diffusers = pytest.importorskip("diffusers")
    return diffusers.UNet2DModel.from_pretrained(folder / "unet").eval()


class ExactTimes(nn.Module):
    """Their sinusoids without their rounding to float32, which alone would cost seven digits."""

    def forward(self, t: Tensor) -> Tensor:
        return time_embedding(t + 1, self.dim)

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dim = dim


@pytest.mark.peers
@pytest.mark.parametrize("unet", [SMALL, UNetConfig()], ids=["small", "cifar10"])
@pytest.mark.parametrize("old", [False, True])
def test_both_networks_give_the_same(tmp_path: Path, unet: UNetConfig, old: bool) -> None:
    """Written by diffusers, read here: 1e-12 in float64, and round-off in float32."""
    if unet.groups is None:
        unet = UNetConfig(groups=32)
    ours = written(tmp_path, unet)
    theirs = their_network(tmp_path)
    theirs.save_pretrained(tmp_path / "unet")
    if old:
        as_of_2022(tmp_path)
    _, read_back = interop.read(tmp_path)
    for name, tensor in ours.state_dict().items():
        assert torch.equal(read_back.state_dict()[name], tensor), name
    x, t = inputs(unet)
    with torch.no_grad():
        single = interop.wrap(theirs)(x, t), read_back(x, t)
        theirs.time_proj = ExactTimes(unet.width)
        double = interop.wrap(theirs.double())(x.double(), t), read_back.double()(x.double(), t)
    scale = double[1].abs().max()
    assert scale > 0.1, "a network that answers nothing would agree with any"
    assert (double[0] - double[1]).abs().max() <= 1e-12 * scale
    # Phases up to 1000 in float32 are off by up to 2^-24 · 1000 = 6e-5; the rest is round-off.
    assert (single[0] - single[1]).abs().max() <= 6e-5 * scale
    assert (single[1] - double[1]).abs().max() <= 1e-5 * scale


@pytest.mark.peers
@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("downsample_padding", 1), ("flip_sin_to_cos", True), ("freq_shift", 0), ("attention_head_dim", 8),
        ("norm_eps", 1e-5),
    ],
)  # fmt: skip
def test_every_setting_that_is_refused_by_name_does_change_their_output(
    tmp_path: Path, setting: str, value: object
) -> None:
    ours = written(tmp_path)
    change(tmp_path / "unet" / "config.json", **{setting: value})
    x, t = inputs(SMALL)
    with torch.no_grad():
        theirs = their_network(tmp_path).double()
        theirs.time_proj = (
            theirs.time_proj if setting in ("flip_sin_to_cos", "freq_shift") else ExactTimes(16)
        )
        error = (interop.wrap(theirs)(x.double(), t) - ours.double()(x.double(), t)).abs().max()
    assert error > 1e-6


@pytest.mark.peers
@pytest.mark.parametrize(
    "settings",
    [
        {"T": 20, "beta": (0.005, 0.3)},
        {"T": 20, "beta": (0.005, 0.3), "variance": "fixed_small", "clip": False},
        {"T": 20, "beta_schedule": "cosine", "prediction": "v"},
        {"T": 20, "beta": (0.005, 0.3), "prediction": "x0"},
    ],
)
def test_what_we_write_samples_in_their_pipeline_as_here(tmp_path: Path, settings: dict[str, Any]) -> None:
    diffusers = pytest.importorskip("diffusers")
    model = written(tmp_path, **settings)
    pipeline = diffusers.DDPMPipeline.from_pretrained(tmp_path)
    pipeline.set_progress_bar_config(disable=True)
    theirs = pipeline(
        batch_size=2, generator=torch.Generator().manual_seed(3), num_inference_steps=20, output_type="pt"
    ).images
    config, generator = config_for(SMALL, **settings), torch.Generator().manual_seed(3)
    x_T = torch.randn(2, 2, 8, 8, generator=generator)
    states = sampler.ancestral(
        model, config.schedule(), x_T, generator=generator,
        prediction=config.prediction, variance=config.variance, clip=config.clip,
    )  # fmt: skip
    *_, last = states
    expected = (last.x / 2 + 0.5).clamp(0, 1)
    assert expected.std() > 0.05
    assert (theirs - expected).abs().max() < 1e-4, "their tables are float32, and 20 steps carry the rounding"


@pytest.mark.peers
def test_their_learned_variance_is_ours(tmp_path: Path) -> None:
    diffusers = pytest.importorskip("diffusers")
    unet = UNetConfig(8, 2, width=16, multipliers=(1, 2), attention_at=(4,), groups=4, learned_variance=True)
    model, config = (
        written(tmp_path, unet, T=20, beta=(0.005, 0.3)),
        config_for(unet, T=20, beta=(0.005, 0.3)),
    )
    scheduler = diffusers.DDPMScheduler.from_pretrained(tmp_path / "scheduler")
    x, _ = inputs(unet)
    t = 13
    with torch.no_grad():
        both = model(x, torch.tensor([t, t]))
    step = p_mean_variance(
        config.schedule(), both[:, :2], x, t, variance="learned", variance_value=both[:, 2:], clip=config.clip
    )
    zero = scheduler.step(both, t - 1, x, generator=torch.Generator().manual_seed(5)).prev_sample
    z = torch.randn(x.shape, generator=torch.Generator().manual_seed(5))
    assert (zero - (step.mean + step.variance.sqrt() * z)).abs().max() < 1e-4
