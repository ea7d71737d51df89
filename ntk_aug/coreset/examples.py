"""Labelled examples with a network's logits, losses and gradients, computed when asked for."""

import threading
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ntk_aug.aliases import Array, Float, Float32, Float64, Int, Int32, Labels, Targets
from ntk_aug.checks import check_at_least, check_finite_rows, check_labels, check_same_shape
from ntk_aug.coreset.gradient_factors import GradientFactors, as_factors
from ntk_aug.errors import InputError
from ntk_aug.losses import check_targets, loss_residuals, per_example_loss


class Examples:
    """Labelled examples, with what a network computes for them.

    Each property below is computed on first use and kept. A part (`take`) computes it for the
    whole, once, from whatever part or thread it is asked for.

    Attributes:
      labels: int32 [n].
      num_classes: C.
    """

    def __init__(
        self, labels: Labels, num_classes: int, sources: Mapping[str, Callable[["Examples"], Any]]
    ):
        """Keeps the source of each property: a function of these examples, by the property's name.

        See `from_arrays` and `network_examples`. Raises InputError for no examples, or labels [n]
        that are not in 0 .. num_classes - 1.
        """
        if len(labels) == 0:
            raise InputError("there are no examples to select from")
        self.labels: Int32[np.ndarray, " n"] = check_labels(labels, len(labels), num_classes)
        self.num_classes = num_classes
        self._sources = dict(sources)
        self._locks = {name: threading.Lock() for name in self._sources}
        self._computed: dict[str, Any] = {}

    @classmethod
    def from_arrays(
        cls,
        labels: Labels,
        num_classes: int,
        *,
        gradients: Float[Array, "gradients P"] | GradientFactors | None = None,
        logits: Float[Array, "logits C"] | None = None,
        gradient_norms: Float[Array, " norms"] | None = None,
        soft_labels: Float[Array, "targets C"] | None = None,
        loss: str = "cross-entropy",
    ) -> "Examples":
        """Examples with properties that are given as arrays.

        Args:
          labels: [n].
          num_classes: C.
          gradients: [n, P], or factors of them.
          logits: the network's outputs [n, C]; they determine `losses` and `residuals`.
          gradient_norms: [n], of the whole network's gradients.
          soft_labels: [n, C], the targets of losses and residuals instead of the labels.
          loss: a key of `losses.LOSSES`.

        Raises:
          InputError: arrays of other shapes, or with NaN or infinity; as `losses.check_targets`.
        """
        n = len(labels)
        sources: dict[str, Callable[[Examples], Any]] = {}
        if gradients is not None:
            factors = as_factors(gradients)
            check_same_shape((len(factors),), (n,), "an array of gradients, along its first axis,")
            sources["gradients"] = lambda examples: factors
        if logits is not None:
            outputs = np.asarray(logits, np.float32)
            check_same_shape(outputs.shape, (n, num_classes), "an array of logits")
            check_finite_rows(outputs, "logits")
            targets = labels if soft_labels is None else soft_labels
            targets = check_targets(targets, n, num_classes, loss)
            sources |= {"logits": lambda examples: outputs, **loss_sources(targets, loss)}
        if gradient_norms is not None:
            norms = np.asarray(gradient_norms, np.float64)
            check_same_shape(norms.shape, (n,), "an array of gradient norms")
            check_finite_rows(norms, "gradient norms")
            check_at_least(norms.min(initial=0), 0, "the least gradient norm")
            sources["gradient_norms"] = lambda examples: norms
        return cls(labels, num_classes, sources)

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def logits(self) -> Float32[np.ndarray, "n C"]:
        """Outputs of the network in evaluation mode."""
        return self.computed("logits")

    @property
    def losses(self) -> Float64[np.ndarray, " n"]:
        """The loss of each example."""
        return self.computed("losses")

    @property
    def residuals(self) -> Float64[np.ndarray, "n C"]:
        """The loss's gradient by the logits: softmax(f) - y, or f - y for the squared loss."""
        return self.computed("residuals")

    @property
    def gradients(self) -> GradientFactors:
        """The gradient of each example's loss, or its proxy: one of `PROXIES`."""
        return self.computed("gradients")

    @property
    def gradient_norms(self) -> Float64[np.ndarray, " n"]:
        """Norms of the loss's gradient by all parameters, whatever the proxy is."""
        return self.computed("gradient_norms")

    def take(self, positions: Int[np.ndarray, " m"]) -> "Examples":
        """The examples at these positions, in their order."""

        def of_part(name, part):
            whole = self.computed(name)
            return whole.take(positions) if name == "gradients" else whole[positions]

        sources = {name: partial(of_part, name) for name in self._sources}
        return Examples(self.labels[positions], self.num_classes, sources)

    def computed(self, name: str) -> Any:
        """The property of this name; raises InputError if it has no source."""
        if name not in self._sources:
            known = ", ".join(sorted(self._sources)) or "nothing but labels"
            raise InputError(f"examples have no {name}, which are asked for; there are {known}")
        with self._locks[name]:
            if name not in self._computed:
                self._computed[name] = self._sources[name](self)
            return self._computed[name]


def loss_sources(targets: Targets, loss: str) -> dict[str, Callable[[Examples], Any]]:
    """Sources of losses and residuals in float64, for `Examples` that have logits."""

    def in_float64(function, examples):
        with jax.enable_x64(True):
            return np.asarray(function(jnp.asarray(examples.logits, jnp.float64), targets))

    return {
        "losses": partial(in_float64, per_example_loss(loss)),
        "residuals": partial(in_float64, loss_residuals(loss)),
    }
