"""A multi-layer perceptron with one hidden layer, and its certified Jacobian Lipschitz constant."""

from collections.abc import Mapping

import flax.linen as nn
import numpy as np

ACTIVATIONS = {"relu": nn.relu, "tanh": nn.tanh}


class MLP(nn.Module):
    """f(x) = V phi(U x + b) + c on flattened images.

    Attributes:
      num_classes: outputs C.
      width: hidden units.
      activation: "relu" or "tanh".
    """

    num_classes: int
    width: int = 128
    activation: str = "relu"

    @nn.compact
    def __call__(self, images):
        """Maps images [n, h, w, c] to logits [n, C]."""
        hidden = nn.Dense(self.width, name="hidden")(images.reshape(len(images), -1))
        return nn.Dense(self.num_classes, name="output")(ACTIVATIONS[self.activation](hidden))


def tanh_mlp_jacobian_lipschitz(params: Mapping, radius: float) -> float:
    """A constant LJ with ||J(W, x) - J(W, x')|| <= LJ ||x - x'|| for ||x||, ||x'|| <= radius.

    For an `MLP` f = V tanh(U x + b) + c, with c2 = max |tanh''| = 4 / (3 sqrt 3) and u the largest
    row norm of U:  LJ^2 = ||U||^2 + (c2 u ||V||)^2 + ((c2 u radius + 1) ||V||)^2. The three terms
    bound the blocks dV, db and dU of J in spectral norm; c adds nothing.
    """
    U = np.asarray(params["hidden"]["kernel"], np.float64).T
    V = np.asarray(params["output"]["kernel"], np.float64).T
    curvature = 4 / (3 * np.sqrt(3)) * np.linalg.norm(U, axis=1).max()
    norm_U, norm_V = np.linalg.norm(U, 2), np.linalg.norm(V, 2)
    return float(
        np.sqrt(norm_U**2 + (curvature * norm_V) ** 2 + ((curvature * radius + 1) * norm_V) ** 2)
    )
