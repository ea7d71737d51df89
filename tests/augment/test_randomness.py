"""Numbers that an augmentation draws with one key are independent of each other.

A table of what is drawn: each row names the numbers that one key gives. Every number has to vary,
and every pair to pass a chi-square test of independence on thousands of keys, in classes of equal
count. The seeds are fixed; among good generators one pair in 100,000 would fail by chance.
"""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from ntk_aug import augment
from ntk_aug.augment import Policy, WuAugmentation, parse_table
from ntk_aug.augment.batches.mixing import draw_cutmix, draw_mixup
from ntk_aug.augment.floats.cropping import draw_crop_offset
from ntk_aug.augment.pixels import color_jitter as random_operations
from ntk_aug.augment.pixels.resizing import draw_resized_crop
from ntk_aug.augment.policies.sampling import draw_policy
from ntk_aug.augment.weak import random_part, random_shift

NUM_KEYS = 4000
KEYS = jax.random.split(jax.random.key(21), NUM_KEYS)
MAX_CLASSES = 5
LEAST_PROBABILITY = 1e-5


def classes_of(values):
    """The class of each value: itself where there are few, otherwise one of equally large ones."""
    distinct, places = np.unique(values, return_inverse=True)
    if len(distinct) <= MAX_CLASSES:
        return places
    limits = np.quantile(values, np.arange(1, MAX_CLASSES) / MAX_CLASSES)
    return np.unique(np.searchsorted(limits, values, side="right"), return_inverse=True)[1]


def dependent_pairs(numbers):
    """The names of constant numbers, and of pairs that are not independent."""
    classes = {name: classes_of(np.asarray(values)) for name, values in numbers.items()}
    found = [name for name, values in classes.items() if values.max() == 0]
    for one, two in itertools.combinations(set(classes) - set(found), 2):
        table = np.zeros((classes[one].max() + 1, classes[two].max() + 1))
        np.add.at(table, (classes[one], classes[two]), 1)
        if stats.chi2_contingency(table, correction=False).pvalue < LEAST_PROBABILITY:
            found.append(tuple(sorted((one, two))))
    return found


def numbered(name, values):
    """One entry for each place along the last axis."""
    return {f"{name} {place}": values[..., place] for place in range(values.shape[-1])}


def steps_of(draw, *, places=False):
    """What a policy draws for each of its steps; probability and operation where they vary."""
    numbers = {
        **numbered("level", draw.plan.level),
        **numbered("applied", draw.applied),
        **numbered("negative", draw.negative),
    }
    if places:
        numbers |= numbered("row", draw.parameters[..., 3])
        numbers |= numbered("column", draw.parameters[..., 4])
    return numbers


def policy(table, rounds=2):
    return Policy(parse_table(table), rounds, magnitudes="wu")


def operations_of_a_policy(key):
    draw = draw_policy(key, policy("Rotate 0.5 *\nInvert 0.5 *\nShearX 0.5 *"), 8, 8)
    return {**steps_of(draw), **numbered("operation", draw.plan.operation)}


def places_of_a_policy(key):
    draw = draw_policy(key, policy("Cutout * *"), 16, 16)
    numbers = {**steps_of(draw, places=True), **numbered("probability", draw.plan.probability)}
    # Whether a step is applied depends on its probability: that is what it means.
    return {name: values for name, values in numbers.items() if "applied" not in name}


def chains_of_augmix(key):
    draw = augment.build_augmentation("augmix").draw(key, 8, 8)
    one, two, three = draw.weights
    return {
        **numbered("depth", draw.steps.applied.reshape(3, 3).sum(axis=1)),
        **numbered("first operation", draw.steps.plan.operation[::3]),
        "share": draw.share,
        "third weight": three,  # of a uniform point of a triangle, independent of the next
        "first of the first two": one / (one + two),
    }


def chain_numbers(chain):
    return {
        **numbered("offset", chain.offset),
        "mirrored": chain.mirrored,
        "size": chain.cutout.plan.level[..., 0],
        "row": chain.cutout.parameters[..., 0, 3],
        "column": chain.cutout.parameters[..., 0, 4],
    }


def candidate_without_mixup(key):
    draw = WuAugmentation(policy("Rotate 0.5 *\nInvert 0.5 *")).draw(key, 16, 16)
    return {**steps_of(draw.steps), **chain_numbers(draw.chain)}


def candidate(key):
    draw = WuAugmentation(policy("Mixup 0.5 *\nInvert 0.5 *")).draw_candidate(key, 9, 16, 16)
    numbers = {"mixed": draw.mixed, "share": draw.share, **numbered("partner", draw.partners[1:])}
    for stage, drawn in enumerate(draw.stages):
        numbers |= numbered(f"stage {stage} applied", drawn.step.applied[:, 0])
        numbers |= numbered(f"stage {stage} share", drawn.share)
        numbers[f"stage {stage} operation"] = drawn.step.plan.operation[0, 0]
    for image in range(2):
        one = chain_numbers(jax.tree.map(lambda x, image=image: x[image], draw.chain))
        if image == 1:
            del one["size"]  # the same for both
        numbers |= {f"{name} of {image}": value for name, value in one.items()}
    return numbers


PICTURE = np.arange(1024, dtype=np.float32).reshape(32, 32, 1) / 1024


def window(image):
    """Row and column of the picture at one pixel of a window, and whether it is mirrored."""
    number, beside = jnp.round(image[15, 15:17, 0] * 1024).astype(int)
    return number // 32, number % 32, beside < number


def shift(key):
    row, column, mirrored = window(random_shift(key, PICTURE))
    # Mirrored before it is moved.
    return {"row": row, "column": jnp.where(mirrored, 31 - column, column), "mirrored": mirrored}


def part(key):
    row, column, mirrored = window(random_part(key, PICTURE))
    # Of 28 columns, mirrored after they are cut: the 16th is the 13th of the picture's.
    return {"row": row, "column": jnp.where(mirrored, column + 3, column), "mirrored": mirrored}


def crop(key):
    row, column = draw_crop_offset(key, 4)
    return {"row": row, "column": column}


def resized_crop(key):
    """Of boxes that always fit: an area of 10 to 30 % of a square, and a side of 3/4 to 4/3."""
    top, left, height, width = draw_resized_crop(key, 1000, 1000, area=(0.1, 0.3))
    return {
        "area": height * width,
        "ratio": width / height,
        "row": top / (1000 - height),
        "column": left / (1000 - width),
    }


def mixup(key):
    draw = draw_mixup(key, 20, 8, 8)
    return {"partner": draw.partner, "share": draw.share}


def noise(key):
    image = jnp.zeros((2, 2, 2))
    return {
        **numbered("normal", augment.random_gaussian_noise(key, image, 1.0).ravel()),
    }


def noise_in_a_ball(key):
    moved = augment.random_noise_in_ball(key, jnp.zeros((1, 2, 2)), 1.0).ravel()
    # The coordinates of a direction depend on each other, their signs do not.
    return {"length": jnp.linalg.norm(moved), **numbered("positive", moved > 0)}


DRAWS = {
    draw.__name__: draw
    for draw in (
        operations_of_a_policy,
        places_of_a_policy,
        chains_of_augmix,
        candidate_without_mixup,
        candidate,
        shift,
        part,
        crop,
        resized_crop,
        mixup,
        noise,
        noise_in_a_ball,
    )
}


EQUALLY_LIKELY = {
    "operations_of_a_policy": {"operation": 3, "applied": 2, "negative": 2},
    "places_of_a_policy": {"row": 16, "column": 16, "negative": 2},
    "chains_of_augmix": {"depth": 3, "first operation": 9},
    "candidate_without_mixup": {"offset": 5, "mirrored": 2, "applied": 2},
    "candidate": {"mixed": 2, "partner": 9, "offset": 5, "mirrored": 2, "stage 0 operation": 2},
    "shift": {"row": 9, "column": 9, "mirrored": 2},
    "part": {"row": 5, "column": 5, "mirrored": 2},
    "crop": {"row": 9, "column": 9},
    "mixup": {"partner": 20},
}
"""By what a name starts with: how many values, of the same probability."""


@pytest.mark.parametrize("name", DRAWS)
def test_what_one_key_gives_is_independent_and_uniform(name):
    numbers = jax.device_get(jax.jit(jax.vmap(DRAWS[name]))(KEYS))
    assert dependent_pairs(numbers) == []
    for start, num_values in EQUALLY_LIKELY.get(name, {}).items():
        found = {own: values for own, values in numbers.items() if own.startswith(start)}
        assert found
        for own, values in found.items():
            counts = np.unique(values, return_counts=True)[1]
            assert len(counts) == num_values, own
            assert stats.chisquare(counts).pvalue > LEAST_PROBABILITY, own


def test_a_box_that_does_not_fit_is_drawn_again():
    draw = jax.jit(jax.vmap(lambda key: draw_resized_crop(key, 1000, 1000)))
    boxes = np.asarray(draw(KEYS))
    # One try in seven does not fit, and would give the whole image; of ten, one in 10^8 all.
    assert (boxes[:, 2:] < 1000).any(axis=1).all()


def test_the_window_of_cutmix_has_a_row_and_a_column_of_its_own():
    draw = jax.jit(jax.vmap(lambda key: draw_cutmix(key, 9, 64, 64)))
    draws = jax.device_get(draw(jax.random.split(KEYS[0], 6 * NUM_KEYS)))
    heights, widths = (draws.window[:, k + 1] - draws.window[:, k] for k in (0, 2))
    # Windows that are not cut off at the border, about 1 in 6: their centres are uniform.
    whole = (draws.window[:, ::2] > 0).all(1) & (draws.window[:, 1::2] < 64).all(1) & (heights > 0)
    assert whole.sum() > NUM_KEYS / 2
    places = draws.window[whole]
    numbers = {
        "row": places[:, 0] / (64 - heights[whole]),
        "column": places[:, 2] / (64 - widths[whole]),
        "side": heights[whole],
        "partner": draws.partner[whole],
    }
    assert dependent_pairs(numbers) == []


def test_factors_and_order_of_the_jitter_are_independent(monkeypatch):
    def color_jitter(image, factors, order):
        """The six numbers, of four bytes each, as an image."""
        bits = jax.lax.bitcast_convert_type(factors, jnp.int32)
        numbers = jnp.concatenate([bits, order.astype(jnp.int32)])
        return jax.lax.bitcast_convert_type(numbers, jnp.uint8).reshape(image.shape)

    monkeypatch.setattr(random_operations, "color_jitter", color_jitter)
    image = np.zeros((4, 6, 1), np.float32)
    strengths = {"brightness": 0.5, "contrast": 0.25, "saturation": 2.0}
    jitter = jax.jit(jax.vmap(lambda key: augment.random_color_jitter(key, image, **strengths)))
    numbers = np.round(255 * np.asarray(jitter(KEYS))).astype(np.uint8).reshape(NUM_KEYS, 24)
    factors, order = numbers[:, :12].copy().view(np.float32), numbers[:, 12:].copy().view(np.int32)
    assert len(np.unique(order, axis=0)) == 6
    assert dependent_pairs({**numbered("factor", factors), "order": order @ [9, 3, 1]}) == []
    for column, (low, high) in zip(factors.T, [(0.5, 1.5), (0.75, 1.25), (0, 3)], strict=True):
        # Uniform: a distance of the distribution functions that chance gives once in 10,000.
        assert stats.kstest(column, stats.uniform(low, high - low).cdf).pvalue > 1e-4


def test_dependence_is_found():
    rng = np.random.default_rng(0)
    one, two = rng.uniform(size=(2, NUM_KEYS))
    assert dependent_pairs({"a": one, "b": two}) == []
    assert dependent_pairs({"a": one, "b": np.ones(NUM_KEYS)}) == ["b"]
    assert dependent_pairs({"a": one, "b": np.abs(one - 0.5), "c": two}) == [("a", "b")]
