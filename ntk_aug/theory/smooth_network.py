"""A small tanh network with Jacobians and certified Lipschitz constants in closed form.

Random instances of the statements use it; `networks.measure_network` measures any network.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from ntk_aug.aliases import Float, Float64
from ntk_aug.errors import InputError
from ntk_aug.models.mlp import tanh_mlp_jacobian_lipschitz
from ntk_aug.theory.arrays import ArrayLike, finite_array, norm, number_in


class TanhMLP(NamedTuple):
    """f(x) = V tanh(U x + b) + c.

    Attributes:
      U: hidden weights.
      b: hidden biases.
      V: output weights.
      c: output biases.
    """

    U: Float64[np.ndarray, "h d"]
    b: Float64[np.ndarray, " h"]
    V: Float64[np.ndarray, "C h"]
    c: Float64[np.ndarray, " C"]

    @classmethod
    def from_params(cls, params: Mapping[str, Any]) -> "TanhMLP":
        """Takes the parameters of a `models.MLP` with activation tanh.

        Raises InputError if the parameters are of another network, or not finite.
        """
        try:
            hidden, output = params["hidden"], params["output"]
            arrays = (hidden["kernel"].T, hidden["bias"], output["kernel"].T, output["bias"])
        except (KeyError, TypeError, AttributeError):
            raise InputError(
                "parameters are not those of models.MLP: expected hidden and output, each with "
                "kernel and bias"
            ) from None
        U = finite_array(arrays[0], "the hidden kernel", (None, None))
        V = finite_array(arrays[2], "the output kernel", (None, len(U)))
        b = finite_array(arrays[1], "the hidden bias", (len(U),))
        return cls(U, b, V, finite_array(arrays[3], "the output bias", (len(V),)))

    def outputs(self, X: ArrayLike) -> Float64[np.ndarray, "n C"]:
        """Computes f(x_i) for X [n, d].

        Raises InputError if X has another shape, or a value that is not finite.
        """
        X = finite_array(X, "X", (None, self.U.shape[1]))
        return np.tanh(X @ self.U.T + self.b) @ self.V.T + self.c

    def jacobians(self, X: ArrayLike) -> Float64[np.ndarray, "n C P"]:
        """Computes J_i for X [n, d]; columns are U, b, V, c, each raveled in C order.

        Raises InputError if X has another shape, or a value that is not finite.
        """
        X = finite_array(X, "X", (None, self.U.shape[1]))
        n, (C, h) = len(X), self.V.shape
        hidden = np.tanh(X @ self.U.T + self.b)
        of_b = self.V[None] * (1 - hidden**2)[:, None, :]
        of_U = of_b[:, :, :, None] * X[:, None, None, :]
        of_V = np.zeros((n, C, C, h))
        of_V[:, range(C), range(C)] = hidden[:, None, :]
        of_c = np.broadcast_to(np.eye(C), (n, C, C))
        flat = (part.reshape(n, C, -1) for part in (of_U, of_b, of_V, of_c))
        return np.concatenate(list(flat), axis=2)

    def jacobian_lipschitz(self, radius: float) -> float:
        """LJ for inputs of norm up to the radius: see `models.tanh_mlp_jacobian_lipschitz`.

        Raises InputError if the radius is negative.
        """
        kernels = {"hidden": {"kernel": self.U.T}, "output": {"kernel": self.V.T}}
        return tanh_mlp_jacobian_lipschitz(kernels, number_in(radius, "radius", 0))

    @property
    def output_lipschitz(self) -> float:
        """Lf = ||V|| ||U||."""
        return norm(self.V) * norm(self.U)


def random_network(rng: np.random.Generator, d: int, h: int, C: int) -> TanhMLP:
    """Draws a network: normal weights of variance 1 / (number of inputs), and small biases."""
    return TanhMLP(
        rng.standard_normal((h, d)) / np.sqrt(d),
        0.1 * rng.standard_normal(h),
        rng.standard_normal((C, h)) / np.sqrt(h),
        0.1 * rng.standard_normal(C),
    )


def softmax(outputs: Float[np.ndarray, "n C"]) -> Float64[np.ndarray, "n C"]:
    """Computes class probabilities from logits."""
    shifted = np.exp(outputs - outputs.max(axis=1, keepdims=True))
    return shifted / shifted.sum(axis=1, keepdims=True)
