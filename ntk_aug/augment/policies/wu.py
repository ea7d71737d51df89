"""The candidates of Wu et al. (2020): two drawn operations, then a fixed chain.

The chain is a crop after padding by reflection (1/8 of the side: 4 pixels of 32), a mirror, Cutout
of a drawn size, and Mixup with a drawn probability. Mixup is also one of the drawn operations, so a
candidate is mixed up to three times. Each partner passes through the preceding steps of its
candidate, with the same levels and probabilities but its own draws of what is applied.
"""

from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ntk_aug.aliases import (
    Array,
    Bool,
    Float,
    FloatLike,
    Image,
    Int,
    IntLike,
    KeyLike,
    PixelImage,
    UInt8,
)
from ntk_aug.augment.batches.mixing import SoftLabel, TrainLabels
from ntk_aug.augment.floats.cropping import crop_padded, draw_crop_offset
from ntk_aug.augment.floats.geometry import flip_horizontal
from ntk_aug.augment.policies.augmentation import compiled_draw
from ntk_aug.augment.policies.policy import MIXUP, Policy, Step
from ntk_aug.augment.policies.sampling import (
    Plan,
    PolicyDraw,
    apply_policy,
    describe_draw,
    draw_plan,
    draw_policy,
    draw_steps,
)
from ntk_aug.augment.value_range import from_pixels, to_pixels
from ntk_aug.randomness import as_key

TrainPixels = UInt8[Array, "N h w c"]


class ChainDraw(NamedTuple):
    """A draw of the fixed chain for one image, without Mixup."""

    offset: Int[Array, " 2"]
    mirrored: Bool[Array, ""]
    cutout: PolicyDraw


class WuDraw(NamedTuple):
    """A draw of a candidate without Mixup."""

    steps: PolicyDraw
    chain: ChainDraw


class StageDraw(NamedTuple):
    """A draw of one step for each image of a candidate, with the shares of Mixup."""

    step: PolicyDraw
    share: Float[Array, " images"]


class CandidateDraw(NamedTuple):
    """A draw of a candidate with Mixup.

    Attributes:
      partners: indices in the training set of the 2^(steps + 1) images that may be mixed; the first
        is unused, because the example itself takes its place.
      stages: draws of the operations in order, each for half as many images as before.
      chain: draw of the chain, for the last two images.
      mixed: whether these two are mixed.
      share: weight of the first one; uniform, that is Beta(1, 1), as in the stages.
    """

    partners: Int[Array, " leaves"]
    stages: tuple[StageDraw, ...]
    chain: ChainDraw
    mixed: Bool[Array, ""]
    share: Float[Array, ""]


@dataclass(frozen=True)
class WuAugmentation:
    """One candidate as augmentation(key, image) -> image, without Mixup.

    Attributes:
      policy: draws the operations, see `wu_policy`.
      mirror: whether the chain mirrors; it should not for digits.
    """

    policy: Policy
    mirror: bool = True

    def __call__(self, key: KeyLike, image: Image) -> Image:
        """Augments an image of floats in [0, 1]; a drawn Mixup does nothing."""
        draw = self.draw(key, *image.shape[:2])
        pixels = apply_policy(to_pixels(image), self.policy, draw.steps)
        return from_pixels(self._apply_chain(pixels, draw.chain), image.dtype)

    def __str__(self):
        """The policy's table, and the chain that follows."""
        mirror = "a mirror with probability 1/2, " if self.mirror else ""
        return f"{self.policy}\nthen: a crop after padding by reflection, {mirror}{self._cutout}"

    def draw(self, key: KeyLike, height: int, width: int) -> WuDraw:
        """Draws what a call with this key applies to an image of this size."""
        steps_key, cutout_key, chain_key = jax.random.split(as_key(key), 3)
        steps = draw_policy(steps_key, self.policy, height, width)
        cutout = draw_plan(cutout_key, self._cutout)
        return WuDraw(steps, self._draw_chain(chain_key, cutout, height, width))

    def describe(self, key: KeyLike, height: int, width: int) -> str:
        """Describes a call with this key."""
        draw = compiled_draw(self, height, width)(as_key(key))
        padding = _padding(height, width)
        down, right = (padding - int(offset) for offset in draw.chain.offset)
        told = describe_draw(self.policy, draw.steps, height, width)
        told.append(
            f"moved {abs(down)} {'down' if down >= 0 else 'up'} "
            f"{abs(right)} {'right' if right >= 0 else 'left'}"
        )
        told += ["mirrored"] if draw.chain.mirrored else []
        told += describe_draw(self._cutout, draw.chain.cutout, height, width)
        return ", ".join(told)

    def draw_candidate(
        self, key: KeyLike, num_examples: int, height: int, width: int
    ) -> CandidateDraw:
        """Draws a candidate with Mixup; partners are uniform over the training examples."""
        keys = jax.random.split(as_key(key), 8)
        plan = draw_plan(keys[0], self.policy)
        cutout = draw_plan(keys[1], self._cutout)
        num_steps = self.policy.num_steps
        stages_key, stages = keys[2], []
        for s in range(num_steps):
            images = 2 ** (num_steps - s)
            steps_key, share_key = jax.random.split(jax.random.fold_in(stages_key, s))
            one = Plan(*(x[s : s + 1] for x in plan))
            draw_one = partial(draw_steps, policy=self.policy, plan=one, height=height, width=width)
            step = jax.vmap(draw_one)(jax.random.split(steps_key, images))
            stages.append(StageDraw(step, jax.random.uniform(share_key, (images,))))
        draw_chain = partial(self._draw_chain, cutout=cutout, height=height, width=width)
        probability = jax.random.uniform(keys[4], ())
        return CandidateDraw(
            partners=jax.random.randint(keys[5], (2 ** (num_steps + 1),), 0, num_examples),
            stages=tuple(stages),
            chain=jax.vmap(draw_chain)(jax.random.split(keys[3], 2)),
            mixed=jax.random.uniform(keys[6], ()) < probability,
            share=jax.random.uniform(keys[7], ()),
        )

    def apply_candidate(
        self,
        image: PixelImage,
        label: IntLike,
        draw: CandidateDraw,
        images: TrainPixels,
        labels: TrainLabels,
        *,
        num_classes: int,
    ) -> tuple[PixelImage, SoftLabel]:
        """Computes a candidate of an example and its soft label, mixed with training examples."""
        places = draw.partners
        own = jnp.arange(len(places)) == 0
        nodes = jnp.where(own[:, None, None, None], image, jnp.asarray(images)[places])
        soft = jax.nn.one_hot(jnp.where(own, label, jnp.asarray(labels)[places]), num_classes)
        for stage, needed in zip(draw.stages, self._needed(draw), strict=True):
            step = stage.step._replace(applied=stage.step.applied & needed[:, None])
            changed = jax.vmap(lambda image, one: apply_policy(image, self.policy, one))(
                nodes[::2], step
            )
            mixed = self._is_mixed(stage)
            mixtures = jax.vmap(mixup_truncated)(nodes[::2], nodes[1::2], stage.share)
            nodes = jnp.where(mixed[:, None, None, None], mixtures, changed)
            soft = jnp.where(mixed[:, None], _mean(soft[::2], soft[1::2], stage.share), soft[::2])
        one, two = jax.vmap(self._apply_chain)(nodes, draw.chain)
        image = jnp.where(draw.mixed, mixup_truncated(one, two, draw.share), one)
        return image, jnp.where(draw.mixed, _mean(soft[0], soft[1], draw.share), soft[0])

    def _needed(self, draw):
        """For each stage, which of its images contribute to the candidate."""
        needed = [jnp.stack([jnp.asarray(True), draw.mixed])]
        for stage in draw.stages[:0:-1]:
            partner = needed[0] & self._is_mixed(stage)
            needed.insert(0, jnp.stack([needed[0], partner], axis=1).ravel())
        return needed

    def _is_mixed(self, stage):
        if MIXUP not in self.policy.operations:
            return jnp.zeros(stage.share.shape, bool)
        mixup = self.policy.operations.index(MIXUP)
        return stage.step.applied[:, 0] & (stage.step.plan.operation[:, 0] == mixup)

    @property
    def _cutout(self) -> Policy:
        return Policy(
            ((Step("Cutout-shifted"),),),
            magnitudes=self.policy.magnitudes,
            cutout_fill=self.policy.cutout_fill,
        )

    def _draw_chain(self, key, cutout, height, width):
        crop_key, mirror_key, cutout_key = jax.random.split(key, 3)
        return ChainDraw(
            draw_crop_offset(crop_key, _padding(height, width)),
            jax.random.bernoulli(mirror_key) & self.mirror,
            draw_steps(cutout_key, self._cutout, cutout, height, width),
        )

    def _apply_chain(self, image, draw):
        image = crop_padded(image, draw.offset, _padding(*image.shape[:2]), mode="reflect")
        image = jnp.where(draw.mirrored, flip_horizontal(image), image)
        return apply_policy(image, self._cutout, draw.cutout)


def _padding(height: int, width: int) -> int:
    return max(height, width) // 8


def _mean(one, two, share):
    share = share[..., None]
    return share * one + (1 - share) * two


# Computed on the host, because a compiler may replace a division by a multiplication.
_UNIT = (np.arange(256, dtype=np.float32) / np.float32(255)).astype(np.float64)


def mixup_truncated(image: PixelImage, other: PixelImage, share: FloatLike) -> PixelImage:
    """Computes int(255 (share x + (1 - share) y)) for x and y in [0, 1], in float32 as published.

    Products and sums are exact in float64 and then rounded to float32. The result is that of
    float32 arithmetic, but a compiler cannot fuse two steps.
    """
    share = jnp.asarray(share, jnp.float32)
    shares = jnp.stack([share, 1 - share])[:, None]
    with jax.enable_x64(True):
        products = (shares.astype(jnp.float64) * _UNIT).astype(jnp.float32).astype(jnp.float64)
        one, two = products[0][image], products[1][other]
        mixed = (one + two).astype(jnp.float32)
    return (mixed * 255).astype(jnp.uint8)
