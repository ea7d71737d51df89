"""Labelled examples as a selector sees them: what a network makes of each, computed when asked."""

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
    """Labelled examples, and what a network makes of them.

    Each of the properties below is computed when it is first asked for, and kept; of a part
    (`take`), it is computed for the whole, once, whatever part asks first and from whatever thread.

    Attributes:
      labels: int32 [n].
      num_classes: C.
    """

    def __init__(
        self,
        labels: Labels,
        num_classes: int,
        sources: Mapping[str, Callable[["Examples"], Any]],
    ):
        """Keeps how everything will be computed; see `from_arrays` and `network_examples`.

        Args:
          labels: [n].
          num_classes: C.
          sources: from the name of a property to the function of these examples that computes it.

        Raises:
          InputError: no examples, or labels out of range.
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
        """Examples of which everything is given that will be asked for.

        Args:
          labels: [n].
          num_classes: C.
          gradients: [n, P], or factors of them.
          logits: the network's outputs; give `losses` and `residuals` too.
          gradient_norms: of the whole network's gradients.
          soft_labels: what losses and residuals are by, in place of the labels.
          loss: a key of `losses.LOSSES`.

        Raises:
          InputError: arrays of other shapes, or with NaN or infinity; what `losses.check_targets`
            refuses.
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
            check_finite_rows(norms[:, None], "gradient norms")
            check_at_least(norms.min(initial=0), 0, "the least gradient norm")
            sources["gradient_norms"] = lambda examples: norms
        return cls(labels, num_classes, sources)

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def logits(self) -> Float32[np.ndarray, "n C"]:
        """Of the network in evaluation mode, on images as it evaluates them."""
        return self.computed("logits")

    @property
    def losses(self) -> Float64[np.ndarray, " n"]:
        """The loss of each example."""
        return self.computed("losses")

    @property
    def residuals(self) -> Float64[np.ndarray, "n C"]:
        """The loss's gradient by the logits: softmax(f) - y, or f - y of the squared loss."""
        return self.computed("residuals")

    @property
    def gradients(self) -> GradientFactors:
        """What stands for the gradient of each example's loss: one of `PROXIES`."""
        return self.computed("gradients")

    @property
    def gradient_norms(self) -> Float64[np.ndarray, " n"]:
        """Of each example's loss by all parameters of the network, whatever the proxy is."""
        return self.computed("gradient_norms")

    def take(self, positions: Int[np.ndarray, " m"]) -> "Examples":
        """The examples at these positions, in their order."""

        def of_part(name, part):
            whole = self.computed(name)
            return whole.take(positions) if name == "gradients" else whole[positions]

        sources = {name: partial(of_part, name) for name in self._sources}
        return Examples(self.labels[positions], self.num_classes, sources)

    def computed(self, name: str) -> Any:
        """What the source of this name gives.

        Raises:
          InputError: there is none; what the source raises, which is then tried again.
        """
        if name not in self._sources:
            known = ", ".join(sorted(self._sources)) or "nothing but labels"
            raise InputError(f"examples have no {name}, which are asked for; there are {known}")
        # Two that ask at once: the second waits for the first.
        with self._locks[name]:
            if name not in self._computed:
                self._computed[name] = self._sources[name](self)
            return self._computed[name]


def loss_sources(targets: Targets, loss: str) -> dict[str, Callable[[Examples], Any]]:
    """Sources of what `Examples` that have logits have beside: losses and residuals, in float64.

    Args:
      targets: as `losses.check_targets` gives them.
      loss: a key of `losses.LOSSES`.
    """

    def in_float64(function, examples):
        with jax.enable_x64(True):
            return np.asarray(function(jnp.asarray(examples.logits, jnp.float64), targets))

    return {
        "losses": partial(in_float64, per_example_loss(loss)),
        "residuals": partial(in_float64, loss_residuals(loss)),
    }
