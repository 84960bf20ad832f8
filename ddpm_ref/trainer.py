"""The training loop of Ho et al. 2020, algorithm 1, with its whole state at hand between any two updates."""

import math
import time
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from ddpm_ref import distributed
from ddpm_ref.checkpoint import check_fit
from ddpm_ref.dropout import draw_keys
from ddpm_ref.network import as_model
from ddpm_ref.objective import L_hybrid, L_simple, L_vlb, Model
from ddpm_ref.order import Order
from ddpm_ref.presets import Config
from ddpm_ref.unet import UNet

TICK = time.get_clock_info("monotonic").resolution  # no update takes less, whatever the clock says
HELD_OUT = 256  # images for the held-out loss, at most
RESIDENT = 0.25  # largest share of a GPU's free memory that the images may take


class Update(NamedTuple):
    """What one update tells: a line of `metrics.jsonl`."""

    step: int  # updates so far, this one included
    loss: float  # over the whole batch, before the update; the mean squared error per coordinate for L_simple
    lr: float
    grad_norm: float  # global, before clipping
    images_per_second: float  # of all processes together
    seconds: float  # of training so far


def loss_per_example(
    config: Config, model: Model, schedule: Any, x_0: Tensor, t: Tensor, noise: Tensor
) -> Tensor:
    """Compute the loss that a configuration asks for, shape (B,)."""
    if config.loss == "simple":
        return L_simple(model, schedule, x_0, t, noise, prediction=config.prediction)
    if config.loss == "hybrid":
        return L_hybrid(model, schedule, x_0, t, noise, prediction=config.prediction, levels=config.levels)
    return L_vlb(
        model, schedule, x_0, t, noise,
        prediction=config.prediction, variance=config.variance, levels=config.levels,
    )  # fmt: skip


class Trainer:
    """The network, the average of its weights, the optimiser and the generators.

    With several processes each holds all of this and computes its part of every batch. Which images, which t,
    which noise and what dropout drops make a batch; none of it depends on the number of processes.

    Attributes:
        config: with its switches decided for the device.
        model: the network.
        step: updates done.
        seconds: spent on them, over all the processes that the run has had.
        stop: set it to end the loop after the update under way; with several processes, in any of them.

    Raises:
        ValueError: if a batch cannot be divided among the processes and `config.accumulate`.
    """

    def __init__(self, config: Config, images: Tensor, device: torch.device) -> None:
        self.config = config = config.on(device)
        if config.batch_size % (parts := config.accumulate * distributed.world()):
            raise ValueError(
                f"batch_size must be a multiple of {parts}, {distributed.world()} processes times "
                f"{config.accumulate} parts; got {config.batch_size}"
            )
        torch.manual_seed(config.seed)  # of the first weights; all else has its own generator
        self.model = UNet(config.unet).to(device)
        if config.channels_last:
            self.model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        average = get_ema_multi_avg_fn(config.ema_decay)  # type: ignore[no-untyped-call]
        self._average = AveragedModel(self.model, multi_avg_fn=average)
        self._optimizer = torch.optim.Adam(self.model.parameters(), lr=config.lr, fused=True)
        self._ddp: DistributedDataParallel | None = None
        if distributed.world() > 1:
            self._ddp = DistributedDataParallel(self.model, [device] if device.type == "cuda" else None)
        network: nn.Module = self._ddp or self.model
        self._network = torch.compile(network) if config.compile else network
        self._schedule = config.schedule()
        self._device = device
        self._generator = torch.Generator(device).manual_seed(config.seed)
        self._order = Order(len(images), config.batch_size, self._generator)
        self._images = images.to(device) if _fits(images, device) else images
        self.step = 0
        self.seconds = 0.0
        self.stop = False
        self._random = self._random_state()

    @property
    def ema(self) -> UNet:
        """The network with the exponential average of the weights; the first update copies them."""
        network = self._average.module
        assert isinstance(network, UNet)
        return network

    def updates(self) -> Iterator[Update]:
        """Train until the configured step, yielding after every update.

        Raises:
            FloatingPointError: if a loss or a gradient is not finite, before it reaches the weights.
        """
        config = self.config
        previous = time.monotonic()
        while self.step < config.steps:
            self._optimizer.zero_grad()
            loss, stop = self._gradient()
            grad_norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), config.clip_norm)
            value, norm = loss.item(), grad_norm.item()
            if not math.isfinite(value) or not math.isfinite(norm):
                raise FloatingPointError(
                    f"loss and gradient must be finite; got {value} and {norm} at step {self.step + 1}"
                )
            lr = config.learning_rate(self.step)
            for group in self._optimizer.param_groups:
                group["lr"] = lr
            self._optimizer.step()
            self._average.update_parameters(self.model)
            self.step += 1
            self._random = self._random_state()
            took = max(time.monotonic() - previous, TICK)
            self.seconds += took
            yield Update(self.step, value, lr, norm, config.batch_size / took, self.seconds)
            if stop:
                return
            previous = time.monotonic()  # what the caller did meanwhile is not training

    def _gradient(self) -> tuple[Tensor, bool]:
        """Add up the gradient of one batch; return its loss, and whether any process is to stop."""
        config, device = self.config, self._device
        mine = distributed.share(config.batch_size)
        index = next(self._order)
        flipped = None
        if config.flips:
            flipped = torch.rand(len(index), generator=self._generator, device=device) < 0.5
        t = torch.randint(1, config.T + 1, (len(index),), generator=self._generator, device=device)
        shape = (len(index), *self._images.shape[1:])
        noise = torch.randn(shape, generator=self._generator, device=device)[mine]
        keys = torch.zeros(len(index), dtype=torch.int32, device=device)
        if config.unet.dropout:
            keys = draw_keys(len(index), self._generator, device)
        keys = keys[mine]
        x_0 = self._images[index[mine].to(self._images.device)].to(device)
        if flipped is not None:
            x_0 = torch.where(flipped[mine, None, None, None], x_0.flip(-1), x_0)
        loss = torch.zeros((), device=device)
        parts = config.accumulate
        cut = zip(*(batch.chunk(parts) for batch in (keys, x_0, t[mine], noise)), strict=True)
        for k, (its_keys, *part) in enumerate(cut):
            model = as_model(partial(self._network, keys=its_keys), config, device)
            # Processes exchange gradients once a batch, with its last part.
            with self._ddp.no_sync() if self._ddp is not None and k < parts - 1 else nullcontext():
                share = loss_per_example(config, model, self._schedule, *part).mean() / parts
                share.backward()  # type: ignore[no-untyped-call]
            loss += share.detach()
        if self._ddp is None:
            return loss, self.stop
        loss, stops = distributed.mean(torch.stack([loss, torch.full_like(loss, self.stop)]))
        return loss, bool(stops > 0)

    def held_out_loss(self, images: Tensor) -> float:
        """Compute the loss of the averaged weights on images that were not trained on.

        The same images, evenly spread t and the same noise every time, so that two steps of a run can be
        compared. No generator of the run is touched.
        """
        x_0 = images[:HELD_OUT].to(self._device)
        generator = torch.Generator().manual_seed(self.config.seed)
        t = torch.linspace(1, self.config.T, len(x_0)).round().long()
        t = t[torch.randperm(len(t), generator=generator)].to(self._device)
        noise = torch.randn(x_0.shape, generator=generator).to(self._device)
        model = as_model(distributed.Sharded(self.ema.eval()), self.config, self._device)
        with torch.no_grad():
            return loss_per_example(self.config, model, self._schedule, x_0, t, noise).mean().item()

    def part(self) -> None:
        """Let go of the other processes before [`leave`][ddpm_ref.distributed.leave]; no update may follow.

        What exchanges the gradients would else be the last to hold gloo's threads, and wait for their end
        with Python's lock held, which they need to give their last tensors back.
        """
        del self._ddp, self._network

    def _random_state(self) -> dict[str, Tensor]:
        return {"generator": self._generator.get_state(), "order": self._order.rest}

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Give all that the next update depends on, as after the last one that was finished.

        It is the same in every process.
        """
        tensors = {f"model.{name}": tensor for name, tensor in self.model.state_dict().items()}
        tensors |= {f"ema.{name}": tensor for name, tensor in self.ema.state_dict().items()}
        for name, parameter in self.model.named_parameters():
            for key, tensor in self._optimizer.state[parameter].items():
                tensors[f"optimizer.{key}.{name}"] = tensor
        tensors |= self._random
        facts = {"step": self.step, "seconds": self.seconds, "device": self._device.type}
        return tensors, facts | {"images": len(self._images), "config": self.config.to_dict()}

    def check(self, path: Path, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
        """Refuse a state that this trainer cannot go on from.

        Args:
            path: of the checkpoint, for the error.
            tensors: of the state.
            facts: of the state.

        Raises:
            ValueError: if it is of another kind of device, other data or another network, or no run can have
                left it.
        """
        if facts["device"] != self._device.type:
            raise ValueError(
                f"device must be {facts['device']}, where the run began; got {self._device.type}, whose "
                "generators are others"
            )
        if facts["images"] != (n := len(self._images)):
            raise ValueError(
                f"data must be the {facts['images']} images that the run began with; there are {n}"
            )
        network = self.model.state_dict()
        expected = {f"{prefix}.{name}": t for prefix in ("model", "ema") for name, t in network.items()}
        for name, parameter in self.model.named_parameters():
            if facts["step"]:
                expected |= {f"optimizer.{key}.{name}": parameter for key in ("exp_avg", "exp_avg_sq")}
                expected[f"optimizer.step.{name}"] = torch.zeros(())
        check_fit(path, {name: t for name, t in tensors.items() if name not in self._random}, expected)
        order = tensors.get("order", torch.zeros(()))
        if order.dtype != torch.long or order.ndim != 1 or not bool(((order >= 0) & (order < n)).all()):
            raise ValueError(f"a checkpoint must hold the order of the {n} images; {path} does not")
        try:
            torch.Generator(self._device).set_state(tensors["generator"])
        except (KeyError, RuntimeError, TypeError) as error:
            raise ValueError(f"a checkpoint must hold a generator's state; {path} does not") from error

    def load(self, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
        """Go on from a state that `check` has let pass, with any number of processes."""
        self.step, self.seconds = facts["step"], facts["seconds"]
        for prefix, network in (("model.", self.model), ("ema.", self.ema)):
            network.load_state_dict(
                {name.removeprefix(prefix): t for name, t in tensors.items() if name.startswith(prefix)}
            )
        self._average.n_averaged.fill_(self.step)
        for name, parameter in self.model.named_parameters():
            for key in ("step", "exp_avg", "exp_avg_sq"):
                tensor = tensors.get(f"optimizer.{key}.{name}")
                if tensor is not None:
                    like = torch.empty((), device=self._device) if key == "step" else parameter
                    self._optimizer.state[parameter][key] = torch.empty_like(like).copy_(tensor).detach()
        self._generator.set_state(tensors["generator"])
        self._order.rest = tensors["order"].to(self._device, copy=True)  # not mapped from the file
        self._random = self._random_state()


def _fits(images: Tensor, device: torch.device) -> bool:
    """Say whether images may live on the device; if not, each batch is copied there."""
    if device.type != "cuda":
        return True
    free, _ = torch.cuda.mem_get_info(device)
    return images.nbytes <= RESIDENT * free
