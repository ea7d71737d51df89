"""The candidates of Wu et al. (2020): two drawn operations, then a fixed chain.

The chain: a crop of the image padded by reflection (an eighth of the side: 4 pixels of 32), a
mirror, Cutout of a drawn size, Mixup with a drawn probability. Mixup is also one of the operations
that are drawn, so that a candidate is mixed up to three times; each partner passes through all
that comes before in its candidate, with the same levels and probabilities and coins of its own.
"""

from dataclasses import dataclass
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
    """What the fixed chain draws for one image, up to Mixup."""

    offset: Int[Array, " 2"]
    mirrored: Bool[Array, ""]
    cutout: PolicyDraw


class WuDraw(NamedTuple):
    """What a candidate without Mixup draws."""

    steps: PolicyDraw
    chain: ChainDraw


class StageDraw(NamedTuple):
    """What one step of a candidate draws for each of its images, the share of Mixup among it."""

    step: PolicyDraw
    share: Float[Array, " images"]


class CandidateDraw(NamedTuple):
    """What a whole candidate draws.

    Attributes:
      partners: places in the training set of all that may be mixed in, 2^(steps + 1); the first
        is unused: there stands the example itself.
      stages: of the drawn operations, in order, for half as many images each time.
      chain: for the last two images.
      mixed: whether they are mixed at the end.
      share: of the first in that mixture; Beta(1, 1), which is uniform, as in the stages.
    """

    partners: Int[Array, " leaves"]
    stages: tuple[StageDraw, ...]
    chain: ChainDraw
    mixed: Bool[Array, ""]
    share: Float[Array, ""]


@dataclass(frozen=True)
class WuAugmentation:
    """One candidate: augmentation(key, image) -> image without Mixup, which needs a training set.

    Attributes:
      policy: draws the operations, see `wu_policy`.
      mirror: whether the chain mirrors; not for digits.
    """

    policy: Policy
    mirror: bool = True

    def __call__(self, key: KeyLike, image: Image) -> Image:
        """Augments an image of floats in [0, 1]; where Mixup is drawn, nothing is done."""
        draw = self.draw(key, *image.shape[:2])
        pixels = apply_policy(to_pixels(image), self.policy, draw.steps)
        return from_pixels(self._apply_chain(pixels, draw.chain), image.dtype)

    def __str__(self):
        """The policy's table, and the chain that follows."""
        mirror = "a mirror with probability 1/2, " if self.mirror else ""
        return f"{self.policy}\nthen: a crop after padding by reflection, {mirror}{self._cutout}"

    def draw(self, key: KeyLike, height: int, width: int) -> WuDraw:
        """What a call with this key draws for an image of this size."""
        steps_key, cutout_key, chain_key = jax.random.split(as_key(key), 3)
        steps = draw_policy(steps_key, self.policy, height, width)
        cutout = draw_plan(cutout_key, self._cutout)
        return WuDraw(steps, self._draw_chain(chain_key, cutout, height, width))

    def describe(self, key: KeyLike, height: int, width: int) -> str:
        """What a call with this key does to an image of this size, in words."""
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
        """What a candidate with Mixup draws; partners are uniform over the training examples."""
        keys = jax.random.split(as_key(key), 8)
        plan = draw_plan(keys[0], self.policy)
        cutout = draw_plan(keys[1], self._cutout)
        num_steps = self.policy.num_steps
        stages_key, stages = keys[2], []
        for s in range(num_steps):
            images = 2 ** (num_steps - s)
            steps_key, share_key = jax.random.split(jax.random.fold_in(stages_key, s))
            one = Plan(*(x[s : s + 1] for x in plan))
            step = jax.vmap(lambda key, one=one: draw_steps(key, self.policy, one, height, width))(
                jax.random.split(steps_key, images)
            )
            stages.append(StageDraw(step, jax.random.uniform(share_key, (images,))))
        chain = jax.vmap(lambda key: self._draw_chain(key, cutout, height, width))(
            jax.random.split(keys[3], 2)
        )
        probability = jax.random.uniform(keys[4], ())
        return CandidateDraw(
            partners=jax.random.randint(keys[5], (2 ** (num_steps + 1),), 0, num_examples),
            stages=tuple(stages),
            chain=chain,
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
        """One candidate of an example, mixed with partners of the training set; its soft label."""
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
        """Of each stage's images, whether one comes into the candidate at all."""
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


# On the host: compilers may turn a division by a constant into a multiplication.
_UNIT = (np.arange(256, dtype=np.float32) / np.float32(255)).astype(np.float64)


def mixup_truncated(image: PixelImage, other: PixelImage, share: FloatLike) -> PixelImage:
    """int(255 (share x + (1 - share) y)) for x and y in [0, 1], in float32 as published.

    Products and sums are formed in double, where they are exact, and rounded to float32: the same
    as float32 by itself, but no compiler can fuse two steps into one.
    """
    shares = jnp.stack([jnp.asarray(share, jnp.float32), 1 - jnp.asarray(share, jnp.float32)])
    with jax.enable_x64(True):
        products = (
            (shares[:, None].astype(jnp.float64) * _UNIT).astype(jnp.float32).astype(jnp.float64)
        )
        one, two = products[0][image], products[1][other]
        mixed = (one + two).astype(jnp.float32)
    return (mixed * 255).astype(jnp.uint8)
