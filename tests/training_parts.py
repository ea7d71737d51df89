"""Augmentations for tests of training, by name: `training_parts:wu_candidate`."""

import jax

from ntk_aug.augment import Policy, WuAugmentation, parse_table

# The method of Wu et al. with a table of few operations compiles in a fraction of the time.
wu_candidate = WuAugmentation(
    Policy(parse_table("Mixup * *\nCutout-shifted 0.5 *"), 1, magnitudes="wu"), mirror=False
)


def marked(key, image):
    """The image, whose second row says what the key is."""
    return image.at[1].set(jax.random.uniform(key))
