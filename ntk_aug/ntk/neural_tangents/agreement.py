"""Compares our kernels with those of neural_tangents: two independent routes."""

import time
from typing import Any, NamedTuple

import numpy as np

from ntk_aug.aliases import Inputs, Labels
from ntk_aug.inputs import num_examples
from ntk_aug.models import as_view
from ntk_aug.ntk.neural_tangents.kernels import DEFAULT_IMPLEMENTATION, neural_tangents_triples
from ntk_aug.ntk.triples import kernel_triples


class KernelAgreement(NamedTuple):
    """Distances between the two routes, max|difference| / max|entry| of each kernel.

    Attributes:
      num_examples: n.
      implementation: of neural_tangents.
      dtype: of the network in both; our sums are always float64.
      plain, cross, augmented: the distances of K, M and K~.
      seconds: of our route, with compilation.
      neural_tangents_seconds: of theirs, with import and compilation.
    """

    num_examples: int
    implementation: str
    dtype: str
    plain: float
    cross: float
    augmented: float
    seconds: float
    neural_tangents_seconds: float

    @property
    def largest(self) -> float:
        """The largest of the three."""
        return max(self.plain, self.cross, self.augmented)


def compare_with_neural_tangents(
    network: Any,
    images: Inputs,
    augmented: Inputs,
    labels: Labels | None = None,
    *,
    rows: str = "logits",
    implementation: str = DEFAULT_IMPLEMENTATION,
    dtype: str = "float32",
) -> KernelAgreement:
    """Computes K, M and K~ of a few images by `kernel_triples` and by `neural_tangents_triples`.

    With float32 and ReLU, two correct routes differ by up to 5e-4 where the input of a unit is
    within rounding of zero. Otherwise expect 1e-5 (float32) or 1e-12 (float64). Arguments and
    errors are those of the two functions, for one augmented version.
    """
    start = time.perf_counter()
    view = as_view(network)
    ours = next(kernel_triples(view, images, [augmented], labels, rows=rows, dtype=dtype))
    middle = time.perf_counter()
    triples = neural_tangents_triples(
        view, images, [augmented], labels, rows=rows, implementation=implementation, dtype=dtype
    )
    theirs = next(triples)
    end = time.perf_counter()
    plain, cross, augmented_apart = (
        float(np.abs(other - own).max() / np.abs(own).max())
        for own, other in zip(ours, theirs, strict=True)
    )
    n, seconds, their_seconds = num_examples(images), middle - start, end - middle
    return KernelAgreement(
        n, implementation, dtype, plain, cross, augmented_apart, seconds, their_seconds
    )
