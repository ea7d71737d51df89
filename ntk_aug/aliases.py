"""Array and function types that the whole library shares.

Dimension names are the same everywhere: n examples, h x w pixels, c channels, C outputs, P
parameters, N kernel rows (n * C for logits), in the order i * C + output.
"""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jaxtyping import Bool, Float, Float32, Float64, Int, Int32, PRNGKeyArray, Shaped, UInt8

Array = jax.Array | np.ndarray
KeyArray = PRNGKeyArray

IntLike = int | Int[Array, ""]
KeyLike = KeyArray | IntLike | np.integer
"""A random key, or an integer seed: see `checks.as_key`."""
FloatLike = float | Float[Array, ""]

Image = Float[Array, "h w c"]
Images = Float[Array, "n h w c"]
PixelImage = UInt8[Array, "h w c"]
AnyImage = Image | PixelImage
PixelImages = UInt8[Array, "n h w c"]
Labels = Int[Array, " n"]
Targets = Labels | Float[Array, "n C"]
"""Classes, or soft labels: a distribution over the classes for each example."""
Kernel = Float64[np.ndarray, "N M"]

Inputs = Any
"""A batch of network inputs: an array [n, ...], or a pytree of them with one n; see `inputs`."""

Params = Any
"""A pytree of floating-point arrays: the trainable parameters of a network."""

ApplyFn = Callable[[Params, Inputs], Float[Array, "n C"]]
"""apply_fn(params, inputs) -> logits: evaluation mode, no mixing between examples of a batch."""

Augmentation = Callable[[KeyArray, Image], Image]
"""augmentation(key, image) -> image of the same shape; images are floats in [0, 1], HWC."""

Progress = Callable[[str, int, int], None]
"""progress(stage, done, total): called as long work advances; programs draw a bar from it."""
