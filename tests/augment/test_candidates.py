import functools
import inspect
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ntk_aug import augment
from ntk_aug.augment import Policy, WuAugmentation, parse_table
from ntk_aug.augment.batches.candidates import select_candidates
from ntk_aug.errors import InputError

KEY = jax.random.key(11)
RNG = np.random.default_rng(0)
TRAIN_IMAGES = RNG.integers(0, 256, (9, 8, 8, 1)).astype(np.uint8)
TRAIN_LABELS = np.arange(9) % 3
# Mixup at every place with even odds, so that nested partners are common; Invert shows in pixels.
POLICY = Policy(parse_table("Mixup 0.7 *\nInvert 0.7 *"), rounds=2, magnitudes="wu")
AUGMENTATION = WuAugmentation(POLICY)


@functools.cache
def drawn():
    keys = jax.random.split(KEY, 80)
    draw = jax.jit(jax.vmap(lambda key: AUGMENTATION.draw_candidate(key, 9, 8, 8)))
    draws = jax.device_get(draw(keys))
    return [jax.tree.map(lambda x, i=i: x[i], draws) for i in range(80)]


def chain_by_numpy(draw, image):
    row, column = draw.offset
    padded = np.pad(image, ((1, 1), (1, 1), (0, 0)), mode="reflect")
    image = padded[row : row + 8, column : column + 8]
    image = (image[:, ::-1] if draw.mirrored else image).copy()
    length = int(16 * int(draw.cutout.plan.level[0]) / 1000 * 8 / 32)
    y, x = (int(max(0, c / 65536 - length / 2)) for c in draw.cutout.parameters[0][3:5])
    image[y : y + length + 1, x : x + length + 1] = 0
    return image


def mix(one, two, share):
    """To whole values by truncation, and the soft label."""
    share, unit = np.float32(share), np.float32(255)
    image = share * (one[0] / unit) + (1 - share) * (two[0] / unit)
    return (image * unit).astype(np.uint8), share * one[1] + (1 - share) * two[1]


def candidate_by_numpy(draw, image, label):
    """The published recursion: a partner passes through everything before, its own Mixup too."""

    def leaf(place):
        if place == 0:
            return image, np.eye(3)[label]
        return TRAIN_IMAGES[draw.partners[place]], np.eye(3)[TRAIN_LABELS[draw.partners[place]]]

    def after(stages, node):
        """The image at a node of the tree of partners after so many drawn operations."""
        if stages == 0:
            return leaf(node)
        stage = draw.stages[stages - 1]
        pixels, soft = after(stages - 1, 2 * node)
        if not stage.step.applied[node, 0]:
            return pixels, soft
        if POLICY.operations[stage.step.plan.operation[node, 0]] == "Invert":
            return 255 - pixels, soft
        return mix((pixels, soft), after(stages - 1, 2 * node + 1), stage.share[node])

    def at_the_end(node):
        pixels, soft = after(2, node)
        chain = jax.tree.map(lambda x: x[node], draw.chain)
        return chain_by_numpy(chain, pixels), soft

    return mix(at_the_end(0), at_the_end(1), draw.share) if draw.mixed else at_the_end(0)


def test_a_candidate_with_nested_mixup_is_that_of_the_published_recursion():
    stacked = jax.tree.map(lambda *x: np.stack(x), *drawn())
    apply = jax.jit(
        jax.vmap(
            lambda draw: AUGMENTATION.apply_candidate(
                TRAIN_IMAGES[4], 1, draw, TRAIN_IMAGES, TRAIN_LABELS, num_classes=3
            )
        )
    )
    images, soft = apply(stacked)
    classes = []
    for draw, image, label in zip(drawn(), images, soft, strict=True):
        expected, expected_label = candidate_by_numpy(draw, TRAIN_IMAGES[4], 1)
        np.testing.assert_array_equal(image, expected)
        np.testing.assert_allclose(label, expected_label, atol=1e-6)
        classes.append((expected_label > 0).sum())
    assert max(classes) == 3  # three images at least were mixed


def test_a_partner_has_the_same_steps_and_levels_but_coins_of_its_own():
    for draw in drawn():
        for stage in draw.stages:
            for field in stage.step.plan:
                assert (field == field[0]).all()
        assert (draw.chain.cutout.plan.level[0] == draw.chain.cutout.plan.level[1]).all()
    first = np.array([draw.stages[0].step.applied[:, 0] for draw in drawn()])
    assert (first != first[:, :1]).any()
    assert any((draw.chain.offset[0] != draw.chain.offset[1]).any() for draw in drawn())


def test_the_padding_is_an_eighth_of_the_longer_side():
    inverting = WuAugmentation(Policy(parse_table("Invert 1 *"), magnitudes="wu"))
    for height, width in ((8, 24), (24, 8)):
        draw = jax.vmap(lambda key, h=height, w=width: inverting.draw(key, h, w).chain.offset)
        offsets = np.asarray(draw(jax.random.split(KEY, 200)))
        for one in offsets.T:
            # That one of seven is missing has probability 7 (6/7)^200 = 3e-13.
            assert np.unique(one).tolist() == list(range(7))


def test_the_last_mixup_has_even_odds():
    # Its probability is uniform, so that one in two is mixed: 40 with a standard deviation of 4.5.
    assert 20 < sum(bool(draw.mixed) for draw in drawn()) < 60


@pytest.mark.parametrize(
    ("losses", "shares"),
    [([1.0, 3.0, 0.0, 4.0], [1 / 8, 3 / 8, 0, 1 / 2]), ([0.0] * 4, [1 / 4] * 4)],
)
def test_candidates_are_drawn_in_proportion_to_the_loss(losses, shares):
    keys = jax.random.split(KEY, 1500)
    chosen = jax.vmap(lambda key: select_candidates(key, jnp.array(losses), 2))(keys)
    counts = np.bincount(np.ravel(chosen), minlength=4)
    for count, share in zip(counts, shares, strict=True):
        assert abs(count - 3000 * share) <= 4.5 * np.sqrt(3000 * share * (1 - share))
    both = (chosen[:, 0] == chosen[:, 1]).mean()  # with replacement
    expected = np.square(shares).sum()
    assert abs(both - expected) < 4.5 * np.sqrt(expected * (1 - expected) / 1500)


def test_the_largest_losses_are_kept_by_option():
    losses = jnp.array([1.0, 3.0, 0.5, 2.0])
    chosen = select_candidates(KEY, losses, 2, selection="largest")
    np.testing.assert_array_equal(chosen, [1, 3])


def by_brightness(images, soft):
    del soft
    return images.mean(axis=(1, 2, 3))


@jax.jit
def by_loss(images, labels, indices, **options):
    return augment.augment_by_loss(
        AUGMENTATION,
        KEY,
        images,
        labels,
        indices,
        **{
            "per_example_loss": by_brightness,
            "train_images": TRAIN_IMAGES,
            "train_labels": TRAIN_LABELS,
            "num_classes": 3,
            "num_candidates": 3,
            "keep": 3,
            "selection": "largest",
            **options,
        },
    )


def test_the_kept_candidates_are_those_of_largest_loss_whatever_the_order():
    order, other_order = np.array([0, 1, 2]), np.array([2, 0, 1])
    images, soft = by_loss(TRAIN_IMAGES[order], TRAIN_LABELS[order], order)
    assert images.shape == (3, 3, 8, 8, 1)
    np.testing.assert_allclose(np.asarray(soft).sum(axis=2), 1, atol=1e-6)
    brightness = np.asarray(images).mean(axis=(2, 3, 4))
    assert (np.diff(brightness, axis=1) <= 0).all()
    assert (brightness[:, 0] > brightness[:, 2]).all()
    others = by_loss(TRAIN_IMAGES[other_order], TRAIN_LABELS[other_order], other_order)
    np.testing.assert_array_equal(others[0], images[other_order])
    np.testing.assert_array_equal(others[1], soft[other_order])


@pytest.mark.parametrize(
    ("keep", "selection", "message"),
    [
        (5, "largest", "candidates to keep is 5, expected 1 to 4"),
        (0, "proportional", "candidates to keep is 0, expected at least 1"),
        (1, "larges", "unknown selection of candidates 'larges'"),
    ],
)
def test_a_bad_selection_is_refused(keep, selection, message):
    with pytest.raises(InputError, match=message):
        select_candidates(KEY, jnp.ones(4), keep, selection=selection)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"keep": 4}, "candidates to keep is 4, expected 1 to 3"),
        ({"num_classes": 2}, "label 2 of image 2 is outside 0 .. 1"),
    ],
)
def test_a_bad_choice_is_refused_before_candidates_are_made(options, message, monkeypatch):
    monkeypatch.setattr(WuAugmentation, "draw_candidate", None)
    with pytest.raises(InputError, match=re.escape(message)):
        inspect.unwrap(by_loss)(TRAIN_IMAGES[:3], TRAIN_LABELS[:3], np.arange(3), **options)


def test_a_loss_that_is_not_one_number_for_each_image_is_refused():
    refused = functools.partial(
        inspect.unwrap(by_loss),
        TRAIN_IMAGES[:3],
        TRAIN_LABELS[:3],
        np.arange(3),
        per_example_loss=lambda images, soft_labels: soft_labels,
    )
    with pytest.raises(InputError, match=r"per_example_loss has shape \(9, 3\), expected \(9,\)"):
        jax.eval_shape(refused)  # without the candidates' pixels


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"images": TRAIN_IMAGES / 255}, "images have type float64, expected uint8"),
        ({"train_images": TRAIN_IMAGES / 255}, "train_images have type float64, expected uint8"),
        ({"indices": np.arange(8)}, "the array of indices has shape (8,), expected (9,)"),
    ],
)
def test_what_is_no_training_set_is_refused_without_type_checks_of_calls(options, message):
    with pytest.raises(InputError, match=re.escape(message)):
        inspect.unwrap(augment.augment_by_loss)(
            AUGMENTATION,
            KEY,
            **{
                "images": TRAIN_IMAGES,
                "labels": TRAIN_LABELS,
                "indices": np.arange(9),
                "per_example_loss": by_brightness,
                "train_images": TRAIN_IMAGES,
                "train_labels": TRAIN_LABELS,
                "num_classes": 3,
                **options,
            },
        )
