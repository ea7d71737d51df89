"""The method of Wu et al. with a table of few operations, which compiles in a fraction of the time.

By name it is `light_wu:candidate`.
"""

from ntk_aug.augment import Policy, WuAugmentation, parse_table

candidate = WuAugmentation(
    Policy(parse_table("Mixup * *\nCutout-shifted 0.5 *"), 1, magnitudes="wu"), mirror=False
)
