"""Examples of a network and a data set: logits, losses and gradients, streamed over images."""

from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from ntk_aug.aliases import Array, Float, KeyLike, Progress
from ntk_aug.checks import check_at_least, check_choice, check_finite_rows
from ntk_aug.coreset.examples import Examples, loss_sources
from ntk_aug.coreset.facility.facility_location import DEFAULT_MEMORY_BYTES
from ntk_aug.coreset.gradient_factors import GradientFactors
from ntk_aug.coreset.proxies import PROXIES, layer_gradients
from ntk_aug.data import Dataset, normalize, unit_range
from ntk_aug.errors import InputError, NotFiniteError
from ntk_aug.inputs import take_examples
from ntk_aug.jacobian import JacobianRows, LastLayer, projected_rows, row_norms
from ntk_aug.losses import check_targets
from ntk_aug.models import ModelView, as_view
from ntk_aug.models.evaluation import StreamedProgram
from ntk_aug.models.network import num_params
from ntk_aug.models.outputs import count_outputs
from ntk_aug.randomness import as_key

# Images held as floats at once, and bytes of their gradients.
_SPAN_IMAGES = 2048
_SPAN_BYTES = 2**28
# Largest difference of two float32 routes to one gradient, relative to the largest gradient; for
# softmax(f) - y, relative to 1 and f.
_ROUNDING = 1e-5
_LOGIT_ROUNDING = 1e-6


class ExamplesProgram:
    """Maps a network's weights to `Examples` of a data set.

    It serves any number of weights of one network: last-layer proxies, logits and losses are
    compiled once.
    """

    def __init__(
        self,
        apply_fn: Callable[..., Any],
        dataset: Dataset,
        *,
        proxy: str = "last-layer-logit",
        loss: str = "cross-entropy",
        soft_labels: Float[Array, "n C"] | None = None,
        layer: str | None = None,
        dimension: int | None = None,
        projection_key: KeyLike | None = None,
        view_of: Callable[[Any], ModelView] | None = None,
        batch_size: int | None = None,
        mesh: Mesh | None = None,
        memory_bytes: int = DEFAULT_MEMORY_BYTES,
        progress: Progress | None = None,
    ):
        """Prepares the programs; nothing is computed.

        Args:
          apply_fn: (variables, network inputs) -> logits, in evaluation mode.
          dataset: images, which are normalised batch by batch; or other examples (tables, token
            ids), which enter the network unchanged.
          proxy: a key of `PROXIES` for the examples' `gradients`.
          loss: a key of `losses.LOSSES`.
          soft_labels: [n, C], targets of the loss instead of the labels.
          layer: for proxies of the last layer's weights: see `jacobian.LastLayer`.
          dimension: of the projection.
          projection_key: of the projection; use the same for gradients that are to be compared.
          view_of: from variables to the view whose parameters whole-network gradients are taken by;
            None takes all variables as parameters.
          batch_size: images at once in a forward pass; None chooses by their size.
          mesh: of one axis, along which batches of forward passes are divided.
          memory_bytes: budget of gradients by all parameters, in float64.
          progress: called with (stage, images done, total); stages are "logits", "last layer",
            "gradients" and "norms".

        Raises:
          InputError: an unknown proxy or loss; a projection without dimension or key; a bad batch
            size or mesh; as `losses.check_targets`.
        """
        self._proxy = check_choice(proxy, PROXIES, "proxy")
        targets = dataset.labels if soft_labels is None else soft_labels
        self._targets = check_targets(targets, len(dataset), dataset.num_classes, loss)
        if proxy == "network-projected":
            if dimension is None or projection_key is None:
                raise InputError("proxy 'network-projected' needs dimension and projection_key")
            check_at_least(dimension, 1, "dimension")
        elif dimension is not None:
            raise InputError(f"a dimension is for proxy 'network-projected', not {proxy!r}")
        if layer is not None and not proxy.startswith("last-layer-weight"):
            raise InputError(f"a layer is for the last-layer-weight proxies, not {proxy!r}")
        self._apply_fn, self._dataset, self._loss = apply_fn, dataset, loss
        self._layer_name, self._dimension = layer, dimension
        self._key = None if projection_key is None else as_key(projection_key)
        self._view_of = view_of or partial(ModelView, apply_fn)
        self._memory_bytes, self._progress = memory_bytes, progress
        self._last_layer: LastLayer | None = None
        streamed = partial(StreamedProgram, batch_size=batch_size, mesh=mesh)
        self._logits = streamed(lambda v, images: apply_fn(v, self._inputs(images)))
        self._layer = streamed(self._layer_gradients)

    def __call__(self, variables: Any) -> Examples:
        """The examples of a network with these weights.

        Raises:
          InputError: outputs that are not one per class, no last dense layer for a proxy by its
            weights, or gradients beyond the memory budget; later, values that are not finite.
        """
        data, proxy = self._dataset, self._proxy
        outputs = count_outputs((self._apply_fn, variables), data.example)
        if outputs != data.num_classes:
            raise InputError(
                f"the network has {outputs} outputs, expected one for each of the "
                f"{data.num_classes} classes"
            )
        sources: dict[str, Callable[[Examples], Any]] = {
            "logits": lambda examples: _finite(self._stream(self._logits, variables, "logits")),
            "gradients": lambda examples: GradientFactors(examples.residuals),
            "gradient_norms": lambda examples: self._norms(variables),
            **loss_sources(self._targets, self._loss),
        }
        if proxy.startswith("last-layer-weight"):
            if self._last_layer is None:
                self._last_layer = LastLayer(
                    (self._apply_fn, variables), self._dataset.example, layer=self._layer_name
                )
            sources["last_layer"] = lambda examples: self._stream(
                self._layer, variables, "last layer", self._targets
            )
            # The same pass computes the logits.
            sources["logits"] = lambda examples: _finite(examples.computed("last_layer").logits)
            sources["gradients"] = self._weight_gradients
        elif proxy.startswith("network"):
            self._check_memory(num_params(self._view_of(variables).params))
            sources["gradients"] = lambda examples: self._network_gradients(variables)
        return Examples(data.labels, data.num_classes, sources)

    def _inputs(self, images):
        return normalize(unit_range(images), self._dataset.mean, self._dataset.std)

    def _stream(self, program, variables, stage, *others):
        images = self._dataset.images
        return program(variables, images, *others, progress=self._progress, stage=stage)

    def _layer_gradients(self, variables, images, targets):
        assert self._last_layer is not None
        return self._last_layer.gradients(self._loss, variables, self._inputs(images), targets)

    def _weight_gradients(self, examples):
        found = examples.computed("last_layer")
        outer, inner = found.cotangents.astype(np.float64), found.inputs.astype(np.float64)
        # If the layer's results are the logits, perhaps after a bias, use float64 residuals.
        floor = _LOGIT_ROUNDING * (1 + np.abs(found.logits).max())
        if _agree(outer, examples.residuals, floor):
            outer = examples.residuals
        # A bias added after another operation (a ReLU) does not belong to the layer.
        with_bias = self._proxy == "last-layer-weight" and self._last_layer.bias is not None
        bias = with_bias and _agree(found.of_bias, found.cotangents)
        return layer_gradients(outer, inner, bias=bias)

    def _check_memory(self, num_params):
        n = len(self._dataset)
        columns = num_params if self._dimension is None else self._dimension
        if 8 * n * columns > self._memory_bytes:
            whole = self._dimension is None
            advice = "take proxy 'network-projected'" if whole else "take a smaller dimension"
            raise InputError(
                f"{n} gradients of {columns} numbers need {8 * n * columns / 2**30:.3g} GiB, the "
                f"memory budget is {self._memory_bytes / 2**30:.3g} GiB: {advice}"
            )

    def _rows(self, variables):
        return JacobianRows(self._view_of(variables), self._dataset.example, rows=self._loss)

    def _fill(self, results, rows, stage, compute):
        """Computes results [n, ...] of (inputs, targets, progress), by parts of the images."""
        n = len(self._dataset)
        at_once = max(min(_SPAN_IMAGES, _SPAN_BYTES // rows.row_bytes), rows.block_size)
        # Parts of equal size of at least a block, so that none needs its own program.
        bounds = np.linspace(0, n, -(-n // at_once) + 1).astype(int)
        for start, stop in pairwise(bounds.tolist()):
            span = slice(start, stop)

            def report(_, done, total, start=start):
                if self._progress:
                    self._progress(stage, start + done, n)

            inputs = self._inputs(take_examples(self._dataset.images, span))
            inputs = jax.tree.map(np.asarray, inputs)
            try:
                results[span] = compute(inputs, self._targets[span], report)
            except NotFiniteError as error:
                raise NotFiniteError(start + error.image) from None

    def _network_gradients(self, variables):
        rows, stage = self._rows(variables), "gradients"
        columns = rows.num_params if self._dimension is None else self._dimension
        gradients = np.empty((len(self._dataset), columns))

        def whole(inputs, targets, report):
            values = rows(inputs, targets)
            report(stage, len(values), len(values))
            return values

        def projected(inputs, targets, report):
            return projected_rows(
                self._key, rows, inputs, targets, dimension=columns, progress=report
            )

        self._fill(gradients, rows, stage, whole if self._dimension is None else projected)
        return GradientFactors(gradients)

    def _norms(self, variables):
        rows = self._rows(variables)
        norms = np.empty(len(self._dataset))

        def compute(inputs, targets, report):
            return row_norms(rows, inputs, targets, progress=report)

        self._fill(norms, rows, "norms", compute)
        return norms


def network_examples(
    view: Any,
    dataset: Dataset,
    *,
    proxy: str = "last-layer-logit",
    loss: str = "cross-entropy",
    soft_labels: Float[Array, "n C"] | None = None,
    layer: str | None = None,
    dimension: int | None = None,
    projection_key: KeyLike | None = None,
    batch_size: int | None = None,
    mesh: Mesh | None = None,
    memory_bytes: int = DEFAULT_MEMORY_BYTES,
    progress: Progress | None = None,
) -> Examples:
    """Examples of one network: its logits, losses and gradients, each computed when asked for.

    The view is a `ModelView`, or what `models.as_view` takes. Other arguments and errors are those
    of `ExamplesProgram`, which serves several weights.

    Example:
      examples = coreset.network_examples(view, dataset, proxy="last-layer-weight")
      chosen = coreset.facility_location(examples.gradients, count=100)
    """
    view = as_view(view)
    program = ExamplesProgram(
        view.apply_fn,
        dataset,
        proxy=proxy,
        loss=loss,
        soft_labels=soft_labels,
        layer=layer,
        dimension=dimension,
        projection_key=projection_key,
        batch_size=batch_size,
        mesh=mesh,
        memory_bytes=memory_bytes,
        progress=progress,
    )
    return program(view.params)


def _finite(logits):
    check_finite_rows(logits, "the network's logits")
    return logits.astype(np.float32, copy=False)


def _agree(a, b, floor=0.0):
    if a.shape != b.shape:
        return False
    return bool(np.abs(a - b).max() <= _ROUNDING * np.abs(b).max() + floor)
