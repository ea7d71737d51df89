"""Rows of the Jacobian J(W, X), block by block in bounded memory."""

from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ntk_aug.aliases import Array, Float, Float64, Inputs, Targets
from ntk_aug.checks import check_at_least, check_dtype, check_params, check_same_shape
from ntk_aug.errors import InputError, NotFiniteError
from ntk_aug.inputs import (
    as_example_shapes,
    cast_inputs,
    check_inputs,
    check_same_examples,
    example_shapes,
    num_examples,
    take_examples,
)
from ntk_aug.jacobian.float64 import network_in
from ntk_aug.jacobian.layerwise import block_program, factored_leaves, squares_program
from ntk_aug.jacobian.outputs import label_shape, output_function, row_labels
from ntk_aug.jacobian.routes import routes_of, share_on_slow_route
from ntk_aug.jacobian.row_factors import FactorLayout, RowFactors, columns_of
from ntk_aug.jacobian.sites import SiteTrace
from ntk_aug.models import as_view
from ntk_aug.models.outputs import count_outputs
from ntk_aug.precision import derivative_precision
from ntk_aug.records import fingerprint
from ntk_aug.threads import map_in_threads, num_cores

# Bytes of a block: on a CPU it should fit the caches, an accelerator needs more to be busy.
_BLOCK_BYTES = {"cpu": 8 * 2**20}
_ACCELERATOR_BLOCK_BYTES = 512 * 2**20
_MAX_BLOCK_SIZE = 256
_MAX_THREADS = 16


class JacobianRows:
    """Computes rows of J for one network: row i * k + c is the gradient of output c of image i.

    Columns follow `jax.tree.leaves(params)`, each raveled in C order. Rows are computed layer by
    layer (`layerwise.example_rows`), whatever the network is written in.

    Attributes:
      num_params: P, the columns.
      outputs_per_example: k, the rows of one image.
      dtype: "float32" or "float64", in which the network is run and differentiated. In float32
        layers keep a lower precision of their own; in float64 everything is float64.
      row_bytes: of one row, P * itemsize.
      factor_bytes: of the rows of one image as `RowFactors`.
      block_size: images differentiated at once; sets the speed and the working memory.
      leaves: the parameters of J's columns, in their order.
      factor_program: compiled (leaves, images, labels) -> the pieces of `RowFactors`, each
        [images, r, size].
      layout: joins these pieces.
      routes: for each parameter, by its path, the `ROUTES` that its rows take.
      general_share: share of the parameters whose rows take the slow route "general".
    """

    def __init__(
        self,
        network: Any,
        example: Any,
        *,
        rows: str = "logits",
        dtype: str = "float32",
        block_size: int | None = None,
        select: Callable[[str], bool] | None = None,
    ):
        """Traces the network; nothing is compiled before the first block.

        Args:
          network: as `models.as_view` takes it.
          example: shape of one input, such as (h, w, c); for integer inputs and pytrees
            `jax.ShapeDtypeStruct`s, as `inputs.example_shapes` returns them.
          rows: a key of `jacobian.ROWS`.
          dtype: "float32" or "float64".
          block_size: images at once; None chooses by memory.
          select: from a parameter's path, such as "['output']['kernel']", to whether J has columns
            for it; None takes all.

        Raises:
          InputError: parameters that are not finite floats, an unknown kind of rows or dtype, a
            selection of none, or a network that does not return logits [n, C].
          PrecisionError: float64 is asked for, and an operation has no float64 version.
        """
        apply_fn, params, _ = as_view(network)
        check_params(params)
        self.dtype = check_dtype(dtype)
        apply_fn = network_in(apply_fn, dtype)
        outputs = output_function(apply_fn, rows)
        self._kind = rows
        all_leaves, treedef = jax.tree.flatten(params)
        paths = [jax.tree_util.keystr(p) for p, _ in jax.tree_util.tree_leaves_with_path(params)]
        chosen = [i for i, path in enumerate(paths) if select is None or select(path)]
        if not chosen:
            raise InputError(f"no parameter is selected; there are {', '.join(paths)}")
        with derivative_precision(dtype):
            all_leaves = [jnp.asarray(leaf, dtype) for leaf in all_leaves]
            self.leaves = [all_leaves[i] for i in chosen]

            def with_chosen(leaves):
                given = dict(zip(chosen, leaves, strict=True))
                merged = [given.get(i, leaf) for i, leaf in enumerate(all_leaves)]
                return jax.tree.unflatten(treedef, merged)

            self._example = as_example_shapes(example, dtype)
            whole = jax.tree.unflatten(treedef, all_leaves)
            self._num_logits = count_outputs((apply_fn, whole), self._example, dtype=dtype)
            label = label_shape(rows, self._num_logits, dtype)
            k = jax.eval_shape(outputs, whole, self._example, label).shape[0]

            def traced(leaves, example, label, offset):
                # The zero offset makes a site even of an output that ignores the example.
                return outputs(with_chosen(leaves), example, label) + offset

            offset = jax.ShapeDtypeStruct((k,), dtype)
            trace = SiteTrace(traced, self.leaves, [self._example, label, offset])
            factored = factored_leaves(trace)
            self._whole, self.factor_program = (
                block_program(trace, k, dtype, which) for which in ({}, factored)
            )
            self._squares = squares_program(trace, k, dtype, factored)
            self._block_of_one = jax.tree.map(
                lambda leaf: jax.ShapeDtypeStruct((1, *leaf.shape), leaf.dtype),
                (self._example, label),
            )
            pieces = jax.eval_shape(self.factor_program, self.leaves, *self._block_of_one)
        names = [paths[i] for i in chosen]
        in_factors = [names[number] for number in factored]
        shapes = [piece.shape[1:] for piece in pieces]
        self.layout = FactorLayout(names, in_factors, shapes, k, dtype)
        self.outputs_per_example = k
        self.num_params = sum(leaf.size for leaf in self.leaves)
        itemsize = np.dtype(dtype).itemsize
        self.row_bytes = self.num_params * itemsize
        self.factor_bytes = sum(r * size for r, size in shapes) * itemsize
        if block_size is None:
            # Rows of an image, the values at its sites, and a cotangent of those for each row.
            of_image = k * self.row_bytes + (k + 1) * trace.num_outputs * itemsize
            on_device = _BLOCK_BYTES.get(jax.default_backend(), _ACCELERATOR_BLOCK_BYTES)
            block_size = min(max(on_device // of_image, 1), _MAX_BLOCK_SIZE)
        check_at_least(block_size, 1, "block_size")
        self.block_size = block_size
        self.routes = dict(zip(names, routes_of(trace, len(chosen)), strict=True))
        sizes = dict(zip(names, (leaf.size for leaf in self.leaves), strict=True))
        self.general_share = share_on_slow_route(self.routes, sizes)

    def blocks(
        self,
        images: Inputs,
        labels: Targets | None = None,
        *,
        start: int = 0,
        stop: int | None = None,
    ) -> Iterator[tuple[slice, Float[np.ndarray, "rows P"]]]:
        """Yields (slice of the rows of J, their values) for consecutive blocks of images.

        Args:
          images: network inputs [n, ...], such as [n, h, w, c]; or a pytree of such arrays.
          labels: [n]; or, for rows that are losses, soft labels [n, C]. Needed for
            `jacobian.LABELLED_ROWS` only.
          start: the first image whose rows are computed.
          stop: the image after the last; None takes all.

        Raises:
          InputError: inputs that do not match `example`, or inputs or rows that are not finite
            (the first such example is named).
        """
        return self._blocks(map, self._whole, _joined, images, labels, start, stop)

    def __call__(
        self,
        images: Inputs,
        labels: Targets | None = None,
        *,
        start: int = 0,
        stop: int | None = None,
        out: Float[np.ndarray, "rows P"] | None = None,
    ) -> Float[np.ndarray, "rows P"]:
        """The rows of all images, or of images start to stop - 1, in one array.

        Memory is n * k * row_bytes; `out` is an array to write into. Other arguments and errors are
        those of `blocks`.
        """
        stop = num_examples(images) if stop is None else stop
        images, labels = self.checked(images, labels, start=start, stop=stop)
        shape = ((stop - start) * self.outputs_per_example, self.num_params)
        out = np.empty(shape, self.dtype) if out is None else out
        check_same_shape(out.shape, shape, "out")
        if out.dtype != self.dtype:
            raise InputError(f"out has dtype {out.dtype}, expected {self.dtype}")
        columns = columns_of(out, [leaf.size for leaf in self.leaves])
        self._fill(columns, self._whole, images, labels, start, stop, lambda count: None)
        return out

    def fingerprint(self) -> str:
        """A hash of all that determines the rows: network, weights and selection."""
        with derivative_precision(self.dtype):
            program = self.factor_program.lower(self.leaves, *self._block_of_one).as_text()
        return fingerprint([program, *(fingerprint(leaf) for leaf in self.leaves)])

    def factors(
        self,
        images: Inputs,
        labels: Targets | None = None,
        *,
        start: int = 0,
        stop: int | None = None,
        out: RowFactors | None = None,
        report: Callable[[int], None] = lambda count: None,
    ) -> RowFactors:
        """The rows that `__call__` computes, as `RowFactors`: all that products of rows need.

        Memory is n * factor_bytes; `out`, from `layout.empty`, is written into; `report` is called
        with the number of images just done. Other arguments and errors are those of `blocks`.
        """
        stop = num_examples(images) if stop is None else stop
        images, labels = self.checked(images, labels, start=start, stop=stop)
        out = self.layout.empty(stop - start) if out is None else out
        num_rows = (stop - start) * self.outputs_per_example
        check_same_shape(out.rows.shape[:1], (num_rows,), "rows of out")
        return self.fill_factors(out, images, labels, start, stop, report)

    def fill_factors(
        self,
        out: RowFactors,
        images: Inputs,
        labels: np.ndarray,
        start: int,
        stop: int,
        report: Callable[[int], None],
    ) -> RowFactors:
        """Like `factors`, for the results of `checked` and an `out` of the right size."""
        pieces = self.layout.pieces(out)
        self._fill(pieces, self.factor_program, images, labels, start, stop, report)
        return out

    def reduced_blocks(
        self,
        reduce: Callable[[Float[np.ndarray, "rows P"]], np.ndarray],
        images: Inputs,
        labels: Targets | None = None,
    ) -> Iterator[tuple[slice, np.ndarray]]:
        """Yields (slice of the rows of J, reduce(their values)), several blocks at once.

        Arguments and errors are those of `blocks`.
        """
        return self._blocks(
            _map_in_threads, self._whole, lambda pieces: reduce(_joined(pieces)), images, labels
        )

    def square_blocks(
        self, images: Inputs, labels: Targets | None = None
    ) -> Iterator[tuple[slice, Float64[np.ndarray, " rows"]]]:
        """Yields (slice of the rows of J, their squared norms), several blocks at once.

        Norms are taken over each parameter in the rows' precision, and their squares summed in
        float64. Arguments and errors are those of `blocks`.
        """

        def of_pieces(pieces):
            return np.square(pieces[0], dtype=np.float64).sum(axis=1)

        return self._blocks(_map_in_threads, self._squares, of_pieces, images, labels)

    def _blocks(self, map_blocks, program, of_pieces, images, labels, start=0, stop=None):
        stop = num_examples(images) if stop is None else stop
        images, labels = self.checked(images, labels, start=start, stop=stop)
        k = self.outputs_per_example

        def compute(first):
            last = min(first + self.block_size, stop)
            pieces = self._block(program, images, labels, first, last)
            return slice(first * k, last * k), of_pieces(pieces)

        return map_blocks(compute, range(start, stop, self.block_size))

    def _fill(self, destinations, program, images, labels, start, stop, report):
        """Writes the pieces of images start to stop - 1 into their arrays, in several threads."""

        def compute(first):
            last = min(first + self.block_size, stop)
            pieces = self._block(program, images, labels, first, last)
            for destination, piece in zip(destinations, pieces, strict=True):
                r = len(destination) // (stop - start)
                destination[(first - start) * r : (last - start) * r] = piece
            return last - first

        for count in _map_in_threads(compute, range(start, stop, self.block_size)):
            report(count)

    def checked(
        self, images: Inputs, labels: Array | None, *, start: int = 0, stop: int | None = None
    ) -> tuple[Inputs, np.ndarray]:
        """Images and labels as the programs take them; arguments and errors as `blocks`."""
        images = check_inputs(images)
        n = num_examples(images)
        stop = n if stop is None else stop
        if not 0 <= start < stop <= n:
            raise InputError(f"images {start} to {stop} are asked for, there are {n}")
        check_same_examples(images, self._example, "an image")
        return images, row_labels(labels, self._kind, n, self._num_logits, self.dtype)

    def _block(self, program, images, labels, first, last):
        """The pieces [images * r, size] of images first to last - 1."""
        # The block is padded with its last image, so that one program serves all.
        size = min(self.block_size, num_examples(images))
        members = np.minimum(np.arange(first, first + size), last - 1)
        with derivative_precision(self.dtype):
            inputs = cast_inputs(take_examples(images, members), self.dtype)
            block = program(self.leaves, inputs, labels[members])
        pieces = [np.asarray(piece)[: last - first] for piece in block]
        _check_finite(pieces, first)
        return [piece.reshape(-1, piece.shape[-1]) for piece in pieces]


def as_rows(
    network: Any,
    images: Inputs,
    *,
    rows: str = "logits",
    dtype: str = "float32",
    select: Callable[[str], bool] | None = None,
) -> JacobianRows:
    """Returns `network` if it is a `JacobianRows`, and otherwise its `JacobianRows`.

    Raises InputError for options beside a `JacobianRows`, which has its own.
    """
    if not isinstance(network, JacobianRows):
        example = example_shapes(check_inputs(images))
        return JacobianRows(network, example, rows=rows, dtype=dtype, select=select)
    if (rows, dtype, select) != ("logits", "float32", None):
        raise InputError(
            f"rows={rows!r}, dtype={dtype!r} or a selection is given beside a JacobianRows, which "
            "has its own: pass them to JacobianRows, or pass the network"
        )
    return network


def _joined(pieces):
    return np.concatenate(pieces, axis=1)


def _map_in_threads(compute, starts):
    # One small block does not keep several cores busy; several blocks do.
    return map_in_threads(compute, starts, min(num_cores(), _MAX_THREADS))


def _check_finite(pieces, first):
    # A sum is finite if all terms are, unless it overflows; then look at the terms.
    with np.errstate(all="ignore"):
        if all(np.isfinite(piece.sum()) for piece in pieces):
            return
    finite = np.logical_and.reduce([np.isfinite(piece).all(axis=(1, 2)) for piece in pieces])
    if not finite.all():
        raise NotFiniteError(first + int(np.argmin(finite)))
