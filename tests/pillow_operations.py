"""Images that are hard for operations on pixels, and what Pillow makes of them."""

import numpy as np

from benchmarks.pillow_operations import ENHANCERS, pillow_operation, to_pillow

__all__ = ["ENHANCERS", "extreme_images", "pillow_operation", "to_pillow"]


def extreme_images(height, width, channels, seed=0):
    """Noise of the full range and of a narrow one, a constant, two values, a few, and a ramp."""
    rng = np.random.default_rng(seed)
    shape = (height, width, channels)
    ramp = np.linspace(0, 255, height * width * channels).reshape(shape)
    low = int(rng.integers(0, 200))
    return np.stack(
        [
            rng.integers(0, 256, shape),
            rng.integers(low, low + 50, shape),
            np.full(shape, 77),
            rng.choice([3, 250], shape),
            rng.choice([0, 0, 0, 31, 200, 255], shape),
            ramp,
        ]
    ).astype(np.uint8)
