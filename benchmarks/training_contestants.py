"""What `benchmarks.training` compares: our training, epoch by epoch, and the loops beside it."""

import os
import queue
import threading
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from benchmarks import torch_networks
from ntk_aug import augment, models, training
from ntk_aug.data import Dataset, unit_range
from ntk_aug.models.evaluation import StreamedProgram
from ntk_aug.training.history import EpochRecord

_ENDLESS = 10**6


class TrainingRun:
    """`training.train` in a thread of its own, one epoch at a time.

    An epoch's seconds are all that pass between two calls of `on_epoch`: plan, order, transfers,
    steps, record.
    """

    def __init__(
        self,
        network: models.Network,
        train_set: Dataset,
        config: training.TrainingConfig,
        **options: Any,
    ):
        """Starts nothing before the first epoch.

        Args:
          network: as `training.train`.
          train_set: likewise.
          config: its epochs are not looked at.
          **options: of `training.train`.
        """
        config = training.TrainingConfig(**{**vars(config), "epochs": _ENDLESS})
        self._go = threading.Semaphore(0)
        self._done: queue.SimpleQueue = queue.SimpleQueue()
        self._closed = False
        self.last: EpochRecord | None = None

        def run() -> None:
            try:
                self._wait()
                training.train(network, train_set, config, **options, on_epoch=self._on_epoch)
            except _Closed:
                pass
            except BaseException as error:
                self._done.put(error)

        self._thread = threading.Thread(target=run, daemon=True)
        self._thread.start()

    def epoch(self) -> float:
        """Trains for one more epoch and returns its seconds; `last` is its record."""
        self._go.release()
        result = self._done.get()
        if isinstance(result, BaseException):
            raise result
        seconds, self.last = result
        return seconds

    def close(self) -> None:
        """Ends the run."""
        self._closed = True
        self._go.release()
        self._thread.join()

    def __enter__(self) -> "TrainingRun":
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def _on_epoch(self, record: EpochRecord) -> None:
        self._done.put((time.perf_counter() - self._start, record))
        self._wait()

    def _wait(self) -> None:
        self._go.acquire()
        if self._closed:
            raise _Closed
        self._start = time.perf_counter()


class _Closed(Exception):  # noqa: N818  # the end, no error
    pass


class BareStep:
    """A jitted step, written by hand: new weights and the mean loss, and nothing else.

    Images are float32 in [0, 1], which the step normalises; labels are integers.
    """

    def __init__(self, module: Any, train_set: Dataset, config: training.TrainingConfig):
        """Compiles nothing yet.

        Args:
          module: a Flax Linen module; with batch statistics, its call takes `train`.
          train_set: for its normalisation.
          config: learning rate, momentum, weight decay.
        """
        mean, std = (np.asarray(value, np.float32) for value in (train_set.mean, train_set.std))
        self.optimizer = optax.chain(
            optax.add_decayed_weights(config.weight_decay),
            optax.sgd(config.learning_rate, config.momentum),
        )

        def mean_loss(params, statistics, images, labels):
            inputs = (images - mean) / std
            if statistics:
                logits, statistics = module.apply(
                    {"params": params, **statistics}, inputs, train=True, mutable=["batch_stats"]
                )
            else:
                logits = module.apply({"params": params}, inputs)
            losses = optax.softmax_cross_entropy_with_integer_labels(logits, labels)
            return losses.mean(), statistics

        def step(carry, images, labels):
            params, statistics, momentum = carry
            (loss, statistics), gradient = jax.value_and_grad(mean_loss, has_aux=True)(
                params, statistics, images, labels
            )
            updates, momentum = self.optimizer.update(gradient, momentum, params)
            return (optax.apply_updates(params, updates), statistics, momentum), loss

        def losses(carry, images, labels):
            logits = module.apply({"params": carry[0], **carry[1]}, (images - mean) / std)
            return optax.softmax_cross_entropy_with_integer_labels(logits, labels)

        self.step = jax.jit(step, donate_argnums=0)
        self.losses = jax.jit(losses)


class BareLoop:
    """Bare steps over batches that lie ready in device memory; nothing is kept or waited for."""

    def __init__(
        self,
        step: BareStep,
        train_set: Dataset,
        batch_size: int,
        variables: tuple[Any, Any],
        order: np.ndarray | None = None,
    ):
        """Puts the batches on the device.

        Args:
          step: compiled once for all loops.
          train_set: a multiple of the batch size.
          batch_size: images in a step.
          variables: (parameters, state) to start from.
          order: of the images; None: their own.
        """
        order = np.arange(len(train_set)) if order is None else order
        self._step = step
        self._batches = [
            (unit_range(jnp.asarray(train_set.images[at])), jnp.asarray(train_set.labels[at]))
            for at in np.split(order, len(order) // batch_size)
        ]
        params, statistics = jax.tree.map(jnp.array, variables)  # a copy: it is donated
        self.carry = (params, statistics, step.optimizer.init(params))

    def epoch(self) -> float:
        """One step on each batch; seconds."""
        start = time.perf_counter()
        for images, labels in self._batches:
            self.carry, _ = self._step.step(self.carry, images, labels)
        jax.block_until_ready(self.carry)
        return time.perf_counter() - start

    def forward(self, passes: int) -> float:
        """The losses of all images in evaluation mode, so many times; seconds."""
        start = time.perf_counter()
        for _ in range(passes):
            results = [self._step.losses(self.carry, *batch) for batch in self._batches]
        jax.block_until_ready(results)
        return time.perf_counter() - start


def candidates_alone(spec: str, train_set: Dataset, num_candidates: int) -> Callable[[], float]:
    """A function that draws the candidates of Wu et al. without a network, and gives its seconds.

    Args:
      spec: of the augmentation, "wu-...".
      train_set: images.
      num_candidates: K.
    """
    augmentation = augment.build_augmentation(spec)
    program = StreamedProgram(
        lambda variables, images, labels, indices: augment.augment_by_loss(
            augmentation,
            variables[0],
            images,
            labels,
            indices,
            per_example_loss=lambda candidates, soft: jnp.sum(candidates, (1, 2, 3)) + soft[:, 0],
            train_images=variables[1],
            train_labels=variables[2],
            num_classes=train_set.num_classes,
            num_candidates=num_candidates,
        )
    )
    pixels = np.asarray(jnp.round(255 * unit_range(train_set.images)), np.uint8)
    variables = (jax.random.key(0), jnp.asarray(pixels), jnp.asarray(train_set.labels))

    def seconds() -> float:
        start = time.perf_counter()
        program(variables, pixels, train_set.labels, train_set.indices)
        return time.perf_counter() - start

    return seconds


class TorchLoop:
    """The same network in PyTorch, over batches that lie ready: normalised, channels_last."""

    def __init__(self, model: str, width: int, train_set: Dataset, config: training.TrainingConfig):
        """Raises ImportError where PyTorch is not installed.

        Args:
          model: "resnet20" or "mlp".
          width: of the MLP.
          train_set: a multiple of the batch size.
          config: as `BareLoop`.
        """
        import torch

        torch.set_num_threads(len(os.sched_getaffinity(0)))
        torch.manual_seed(config.seed)
        self.version, channels = torch.__version__, train_set.image_shape[-1]
        if model == "mlp":
            inputs = int(np.prod(train_set.image_shape))
            self.net = torch_networks.torch_mlp(train_set.num_classes, inputs, width)
        else:
            self.net = torch_networks.torch_resnet(train_set.num_classes, 3, channels)
        self.net = self.net.train().to(memory_format=torch.channels_last)
        images = np.asarray(unit_range(train_set.images), np.float32)
        images = (images - np.float32(train_set.mean)) / np.float32(train_set.std)
        self._batches = [
            (
                torch.from_numpy(x.transpose(0, 3, 1, 2).copy()).contiguous(
                    memory_format=torch.channels_last
                ),
                torch.from_numpy(y.astype(np.int64)),
            )
            for x, y in zip(
                *(
                    np.split(a, len(train_set) // config.batch_size)
                    for a in (images, train_set.labels)
                ),
                strict=True,
            )
        ]
        self._optimizer = torch.optim.SGD(
            self.net.parameters(),
            config.learning_rate,
            momentum=config.momentum,
            weight_decay=config.weight_decay,
        )
        self._loss = torch.nn.functional.cross_entropy

    def epoch(self) -> float:
        """One step on each batch; seconds."""
        start = time.perf_counter()
        for images, labels in self._batches:
            self._optimizer.zero_grad(set_to_none=True)
            self._loss(self.net(images), labels).backward()
            self._optimizer.step()
        return time.perf_counter() - start
