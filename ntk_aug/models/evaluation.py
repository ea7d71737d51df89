"""Evaluates a network on a whole data set, batch by batch in bounded memory."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from ntk_aug.aliases import Array, Inputs, Progress
from ntk_aug.checks import check_at_least, check_mesh
from ntk_aug.data import normalize, unit_range
from ntk_aug.inputs import num_examples, take_examples
from ntk_aug.threads import map_in_threads, num_cores

# Bytes of a batch, and its least and largest number of images: on a CPU a batch should fit the
# caches, an accelerator needs more to be busy.
_CPU_BATCH = (2**20, 8, 256)
_ACCELERATOR_BATCH = (2**27, 8, 1024)
_MAX_CPU_THREADS = 16
# On an accelerator the second thread moves a batch while the first computes.
_ACCELERATOR_THREADS = 2


class StreamedProgram:
    """A function of a network's variables and a batch of examples, for any number of examples.

    It is compiled once for all batches (the last is padded with its last example) and all values of
    the variables. Matrix products have full precision on every device.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        *,
        batch_size: int | None = None,
        mesh: Mesh | None = None,
    ):
        """Prepares the program; nothing is compiled before the first call.

        Args:
          function: (variables, images [b, h, w, c], *others [b, ...]) -> a pytree of arrays [b,
            ...], without mixing between examples. Images may be any inputs (see `inputs`).
          batch_size: examples at once, rounded up to a multiple of the mesh's devices; None chooses
            by their size.
          mesh: of one axis, along which each batch is divided; None takes the default device.

        Raises:
          InputError: a batch size below 1, or a mesh of more than one axis.
        """
        if batch_size is not None:
            check_at_least(batch_size, 1, "batch_size")
        if mesh is not None:
            check_mesh(mesh)
        self._program = jax.jit(function)
        self._batch_size = batch_size
        self._mesh = mesh

    def __call__(
        self,
        variables: Any,
        images: Inputs,
        *others: Array,
        progress: Progress | None = None,
        stage: str = "images",
    ) -> Any:
        """The function's results for all images, numpy arrays [n, ...].

        Images are [n, h, w, c] or other inputs, and `others` further arrays [n, ...], such as
        labels; each batch is moved to the device as it is. `progress` is called with (stage, images
        done, total).
        """
        n, size = num_examples(images), self._size(images)
        batch_sharding = whole_sharding = None
        if self._mesh is not None:
            batch_sharding = NamedSharding(self._mesh, PartitionSpec(self._mesh.axis_names))
            whole_sharding = NamedSharding(self._mesh, PartitionSpec())
        variables = jax.device_put(variables, whole_sharding)

        def compute(start):
            members = np.minimum(np.arange(start, start + size), n - 1)
            batch = jax.device_put(take_examples([images, *others], members), batch_sharding)
            with jax.default_matmul_precision("highest"):
                results = self._program(variables, *batch)
            return jax.tree.map(lambda a: np.asarray(a)[: n - start], results)

        # The first batch alone: threads that start together would all compile.
        first = compute(0)
        whole = jax.tree.map(lambda a: np.empty((n, *a.shape[1:]), a.dtype), first)

        def write(start, results):
            for array, part in zip(jax.tree.leaves(whole), jax.tree.leaves(results), strict=True):
                array[start : start + len(part)] = part
            return min(start + size, n)

        def report(done):
            if progress:
                progress(stage, done, n)

        report(write(0, first))
        rest = range(size, n, size)
        for done in map_in_threads(lambda start: write(start, compute(start)), rest, self._threads):
            report(done)
        return whole

    def _size(self, images: Inputs) -> int:
        """Examples of a batch: at most all, rounded up to a multiple of the devices."""
        size, n = self._batch_size, num_examples(images)
        if size is None:
            of_batch, least, most = _CPU_BATCH if self._on_cpu else _ACCELERATOR_BATCH
            of_example = sum(leaf.size for leaf in jax.tree.leaves(images)) // n
            size = min(max(of_batch // (4 * of_example), least), most)
        devices = 1 if self._mesh is None else self._mesh.size
        return -(-min(size, n) // devices) * devices

    @property
    def _on_cpu(self) -> bool:
        return jax.default_backend() == "cpu"

    @property
    def _threads(self) -> int:
        if self._mesh is not None:
            return 1  # programs must start in the same order on all devices
        return min(num_cores(), _MAX_CPU_THREADS) if self._on_cpu else _ACCELERATOR_THREADS


def logits_program(
    apply_fn: Callable[..., Any],
    *,
    mean: tuple[float, ...],
    std: tuple[float, ...],
    batch_size: int | None = None,
    mesh: Mesh | None = None,
) -> StreamedProgram:
    """The program (variables, images) -> logits float [n, C], for examples as a `Dataset` has them.

    `apply_fn` maps (variables, network inputs) to logits, in evaluation mode; `mean` and `std` are
    per channel, for `data.normalize`, or empty for examples that are not images. Other arguments
    and errors are those of `StreamedProgram`.
    """

    def logits(variables, images):
        return apply_fn(variables, normalize(unit_range(images), mean, std))

    return StreamedProgram(logits, batch_size=batch_size, mesh=mesh)
