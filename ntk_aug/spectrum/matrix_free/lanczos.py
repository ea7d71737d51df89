"""Lanczos iteration on a symmetric matrix, with full orthogonalisation in float64."""

import jax
import numpy as np

from ntk_aug.aliases import Float64, KeyArray
from ntk_aug.spectrum.matrix_free.operators import Product


class KrylovBasis:
    """An orthonormal basis V, extended by products, and the projected matrix T = V' A V.

    When it is full, A V = V T + beta v e' with the last unit vector e and the next vector v.

    Attributes:
      vectors: V [side, size].
      projected: T [size, size].
      beta: how far the last product left the span; 0 if the span is invariant.
    """

    def __init__(self, key: KeyArray, start: Float64[np.ndarray, " side"], size: int):
        """Begins with one vector; the key draws new ones if the span becomes invariant."""
        self.vectors = np.zeros((len(start), size), order="F")
        self.projected = np.zeros((size, size))
        self.beta = 0.0
        self._key, self._next, self._kept = key, start / np.linalg.norm(start), 0

    def fill(self, product: Product) -> None:
        """Extends the basis to its size by products with A."""
        V, T = self.vectors, self.projected
        for j in range(self._kept, V.shape[1]):
            V[:, j] = self._next
            image = product(V[:, j])
            rest, inside = self._outside(image, j + 1)
            T[: j + 1, j] = T[j, : j + 1] = inside
            self.beta = float(np.linalg.norm(rest))
            # Below this is rounding: the span is invariant, and any other direction will do.
            if self.beta <= 1e-14 * np.linalg.norm(image) or j + 1 == len(V):
                self.beta = 0.0
                if j + 1 == len(V):
                    return
                self._key, key = jax.random.split(self._key)
                rest = np.asarray(jax.random.normal(key, (len(V),)), np.float64)
                rest, _ = self._outside(rest, j + 1)
            self._next = rest / np.linalg.norm(rest)

    def restart(
        self,
        eigenvalues: Float64[np.ndarray, " kept"],
        eigenvectors: Float64[np.ndarray, "size kept"],
    ) -> None:
        """Keeps some eigenpairs of T and the next vector, from which `fill` continues."""
        kept = self._kept = len(eigenvalues)
        self.vectors[:, :kept] = self.vectors @ eigenvectors
        self.projected[:] = 0
        self.projected[:kept, :kept] = np.diag(eigenvalues)

    def _outside(self, vector, size):
        """The part of a vector orthogonal to the first columns, and its products with them."""
        V = self.vectors[:, :size]
        inside = V.T @ vector
        rest = vector - V @ inside
        again = V.T @ rest  # a second pass, because little may be left
        return rest - V @ again, inside + again
