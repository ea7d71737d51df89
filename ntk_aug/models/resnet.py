"""CIFAR ResNets with parameter-free shortcuts (He et al. 2016, section 4.2, option A)."""

from collections.abc import Sequence
from functools import partial

import flax.linen as nn
import jax.numpy as jnp

# He et al. 2015: normal with variance 2 / fan-in, the number of inputs of one output unit.
he_normal = nn.initializers.variance_scaling(2.0, "fan_in", "normal")


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions; where the size halves, the shortcut subsamples and pads channels."""

    filters: int
    stride: int

    @nn.compact
    def __call__(self, x, train: bool = False):
        """Maps [n, h, w, c] to [n, h / stride, w / stride, filters]."""
        norm = partial(nn.BatchNorm, use_running_average=not train, momentum=0.9, epsilon=1e-5)
        # padding=1 is that of the paper; with stride 2, "SAME" would pad (0, 1).
        conv = partial(
            nn.Conv, self.filters, (3, 3), padding=1, use_bias=False, kernel_init=he_normal
        )
        y = nn.relu(norm()(conv(strides=self.stride)(x)))
        y = norm()(conv()(y))
        if self.stride != 1 or x.shape[-1] != self.filters:
            x = x[:, :: self.stride, :: self.stride]
            extra = self.filters - x.shape[-1]
            x = jnp.pad(x, ((0, 0), (0, 0), (0, 0), (extra // 2, extra - extra // 2)))
        return nn.relu(x + y)


class CifarResNet(nn.Module):
    """A ResNet for small images: a 3x3 stem, stages of residual blocks, mean over pixels, linear.

    Attributes:
      num_classes: outputs C.
      stage_sizes: blocks per stage; each stage after the first halves the image and doubles the
        filters. Depth is 2 * sum(stage_sizes) + 2.
      filters: of the first stage.
    """

    num_classes: int
    stage_sizes: Sequence[int] = (3, 3, 3)
    filters: int = 16

    @nn.compact
    def __call__(self, images, train: bool = False):
        """Maps images [n, h, w, c] to logits [n, C]; train: use and update batch statistics."""
        x = nn.Conv(
            self.filters, (3, 3), padding=1, use_bias=False, kernel_init=he_normal, name="stem"
        )(images)
        norm = partial(nn.BatchNorm, use_running_average=not train, momentum=0.9, epsilon=1e-5)
        x = nn.relu(norm(name="stem_norm")(x))
        for stage, size in enumerate(self.stage_sizes):
            for block in range(size):
                stride = 2 if stage > 0 and block == 0 else 1
                x = ResidualBlock(self.filters * 2**stage, stride)(x, train)
        return nn.Dense(self.num_classes, kernel_init=he_normal, name="output")(x.mean(axis=(1, 2)))
