"""Rows of tiles of images: how many are held, where, and how they are multiplied.

`HostTiles` keeps and multiplies rows in the host's memory, `DeviceTiles` on the devices of a mesh.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from ntk_aug.aliases import Float64, Inputs
from ntk_aug.errors import InputError
from ntk_aug.jacobian import JacobianRows
from ntk_aug.jacobian.row_factors import RowFactors
from ntk_aug.jacobian.sharded import ShardedRows
from ntk_aug.ntk.products import add_products, mirror

Report = Callable[[Any], None]

# Columns converted to float64 at a time on a device.
_DEVICE_CHUNK = 8192


def gib_rounded_up(num_bytes: int) -> float:
    """Gibibytes rounded up to three decimals, so that a stated budget is sufficient."""
    return math.ceil(num_bytes / 2**30 * 1000) / 1000


def images_per_tile(
    rows: JacobianRows, n: int, memory_bytes: int, *, versions: int = 2
) -> tuple[int, int]:
    """How many images' rows are held, and how many stream past at a time.

    All n are held and none stream if the budget allows it. Otherwise a sixth of the budget, but at
    least one block, streams: fewer would waste computed rows and conversions to float64, more would
    need more passes. Rows of each image are held in so many `versions`: two for plain and augmented
    images side by side.

    Raises InputError if the budget does not hold two images; it states the least sufficient budget.
    """
    image_bytes = versions * rows.factor_bytes
    fitting = memory_bytes // image_bytes
    if n <= fitting:
        return n, 0
    if not fitting >= 2:  # true for NaN
        least = min(n, 2)
        raise InputError(
            f"a memory budget of {memory_bytes / 2**30:.3g} GiB does not hold the Jacobian rows of "
            f"{least} images: at least {gib_rounded_up(least * image_bytes)} GiB are needed"
        )
    streaming = max(1, fitting // 6, min(rows.block_size, fitting // 2))
    return fitting - streaming, streaming


def tiles_of(rows: JacobianRows, mesh: Mesh | None) -> "HostTiles | DeviceTiles":
    """Tiles on the mesh; None takes all GPUs, or else the host."""
    if mesh is None and jax.default_backend() == "gpu":
        mesh = Mesh(np.array(jax.local_devices()), ("images",))
    return HostTiles(rows) if mesh is None else DeviceTiles(rows, mesh)


class HostTiles:
    """Rows in the host's memory.

    Attributes:
      outputs_per_example: k, the rows of one image.
    """

    def __init__(self, rows: JacobianRows):
        self._rows = rows
        self.outputs_per_example = rows.outputs_per_example

    def empty(self, n: int) -> RowFactors:
        """Memory for the rows of n images, to be passed to `compute` repeatedly."""
        return self._rows.layout.empty(n)

    def compute(
        self, out: RowFactors, images: Inputs, labels: np.ndarray, span: slice, report: Report
    ) -> RowFactors:
        """The rows of the images in span; reports the number of images just done."""
        part = out.part(0, span.stop - span.start)
        return self._rows.fill_factors(part, images, labels, span.start, span.stop, report)

    def products(
        self, pairs: Sequence[tuple[RowFactors, RowFactors]], sides: tuple[int, int], report: Report
    ) -> list[Float64[np.ndarray, "A B"]]:
        """A B' of each pair, of shape `sides`; cheaper if A is B. Reports the share done."""
        triples = [(np.zeros(sides), A, B) for A, B in pairs]
        add_products(triples, report)
        return [total for total, _, _ in triples]


class DeviceTiles:
    """Rows and products on the devices of a mesh, divided by images; methods as `HostTiles`."""

    def __init__(self, rows: JacobianRows, mesh: Mesh):
        self._sharded = ShardedRows(rows, mesh)
        self.outputs_per_example = rows.outputs_per_example
        self._product = jax.jit(_product)

    def empty(self, n: int) -> None:
        """Nothing: rows stay where they are computed."""

    def compute(
        self, out: None, images: Inputs, labels: np.ndarray, span: slice, report: Report
    ) -> RowFactors:
        """The rows of the images in span, a share on each device."""
        factors = self._sharded(images, labels, start=span.start, stop=span.stop)
        report(span.stop - span.start)
        return factors

    def products(
        self, pairs: Sequence[tuple[RowFactors, RowFactors]], sides: tuple[int, int], report: Report
    ) -> list[Float64[np.ndarray, "A B"]]:
        """A B' of each pair."""
        products = []
        for A, B in pairs:
            with jax.enable_x64(True):
                product = np.asarray(self._product(A[:3], B[:3]))
            # Padding comes last.
            product = product[: sides[0], : sides[1]].copy()
            if A is B:
                mirror(product)
            products.append(product)
        return products


def _product(A, B):
    """A B' in float64 of float32 or float64 arrays, a chunk of columns at a time."""
    (a, *factors_a), (b, *factors_b) = A, B
    width = min(_DEVICE_CHUNK, a.shape[1])

    def product(x, y):
        return jnp.matmul(x.astype(jnp.float64), y.astype(jnp.float64).T, precision="highest")

    def add_chunk(number, total):
        x, y = (jax.lax.dynamic_slice_in_dim(z, number * width, width, axis=1) for z in (a, b))
        return total + product(x, y)

    total = jnp.zeros((len(a), len(b)), jnp.float64)
    whole = a.shape[1] // max(width, 1)
    total = jax.lax.fori_loop(0, whole, add_chunk, total)
    total += product(a[:, whole * width :], b[:, whole * width :])
    for x, y, d, e in zip(factors_a[0], factors_b[0], factors_a[1], factors_b[1], strict=True):
        # <x (x) d, y (x) e> = <x, y> <d, e>, where x and y are the same for all outputs.
        inputs = product(x, y)[:, None, :, None]
        cotangents = product(d, e).reshape(len(x), -1, len(y), len(e) // len(y))
        total += (inputs * cotangents).reshape(total.shape)
    return total


class HeldRows:
    """The rows of the last tile, in memory that is allocated once."""

    def __init__(self, tiles: HostTiles | DeviceTiles, size: int):
        """For tiles of up to `size` images."""
        self._tiles, self._size = tiles, size
        self._memory: Any = None
        self._current: Any = None

    def __call__(
        self, images: Inputs, labels: np.ndarray, span: slice, report: Report
    ) -> RowFactors:
        """The rows of the images in span, computed unless they are held already."""
        if self._current is None:
            self._memory = self._tiles.empty(self._size)
        elif self._current[0] is images and self._current[1] == span:
            return self._current[2]
        self._current = images, None, None  # an interruption leaves invalid rows
        rows = self._tiles.compute(self._memory, images, labels, span, report)
        self._current = images, span, rows
        return rows
