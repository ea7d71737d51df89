"""What a policy draws for one image, apart from what it does with it.

`draw_policy` draws everything from the key, `apply_policy` applies it, `describe_draw` tells it.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ntk_aug.aliases import Array, Bool, Float, Int, KeyArray, KeyLike, PixelImage
from ntk_aug.augment.pixels.operations import apply_operation, operation_parameters, place_operation
from ntk_aug.augment.policies.magnitudes import family_of, find_magnitudes, magnitude_of
from ntk_aug.augment.policies.policy import IDENTITY, MIXUP, Policy
from ntk_aug.randomness import as_key


class Plan(NamedTuple):
    """The steps that are tried: [num_steps] each.

    Attributes:
      operation: place in the policy's operations.
      probability: with which each is applied.
      level: of the policy's mapping.
    """

    operation: Int[Array, " s"]
    probability: Float[Array, " s"]
    level: Int[Array, " s"]


class PolicyDraw(NamedTuple):
    """Everything that was drawn for one image: [num_steps] each.

    Attributes:
      plan: the steps that are tried.
      applied: whether each is applied.
      negative: whether the magnitude's sign is negative; of no effect where there is none.
      parameters: integers of each step, among them the places of Cutout, [num_steps, 13].
    """

    plan: Plan
    applied: Bool[Array, " s"]
    negative: Bool[Array, " s"]
    parameters: Int[Array, "s 13"]


@functools.lru_cache(maxsize=64)
def parameter_table(policy: Policy, height: int, width: int) -> Int[np.ndarray, "o l 2 13"]:
    """Parameters of each operation of the policy at each level, of positive and negative sign."""
    num_levels = find_magnitudes(policy.magnitudes).num_levels
    table = []
    for name in _on_pixels(policy):
        fill = policy.cutout_fill if name.startswith("Cutout") else policy.fill
        magnitudes = [
            [
                magnitude_of(
                    name, level, sign=sign, height=height, width=width, mapping=policy.magnitudes
                )
                or 0.0  # of operations that take none
                for sign in (1, -1)
            ]
            for level in range(num_levels if family_of(name) else 1)
        ]
        parameters = operation_parameters(name, magnitudes, height, width, fill=fill)
        table.append(np.broadcast_to(parameters, (num_levels, *parameters.shape[1:])))
    return np.stack(table)


def _on_pixels(policy: Policy) -> tuple[str, ...]:
    """The policy's operations as the table of operations calls them; Mixup alone does nothing."""
    return tuple(
        IDENTITY if name == MIXUP else policy.full_name(name) for name in policy.operations
    )


@functools.lru_cache(maxsize=64)
def _rows(policy: Policy):
    """(operation, probability, level) of each cell, [rows, steps]; -1 is drawn."""
    steps = max(len(row) for row in policy.table)
    shape = (len(policy.table), steps)
    operation, level = np.zeros(shape, np.int32), np.full(shape, -1, np.int32)
    probability = np.zeros(shape, np.float32)
    for r, row in enumerate(policy.table):
        for s, step in enumerate(row):
            operation[r, s] = policy.operations.index(step.operation)
            probability[r, s] = -1 if step.probability is None else step.probability
            level[r, s] = -1 if step.level is None else step.level
    return operation, probability, level


def draw_plan(key: KeyArray, policy: Policy) -> Plan:
    """Draws the sub-policies, and those probabilities and levels that the table leaves open."""
    row_key, probability_key, level_key = jax.random.split(key, 3)
    rows = jax.random.randint(row_key, (policy.rounds,), 0, len(policy.table))
    operation, probability, level = (jnp.asarray(cell)[rows].ravel() for cell in _rows(policy))
    shape = operation.shape
    drawn_probability = jax.random.uniform(probability_key, shape, jnp.float32)
    num_levels = find_magnitudes(policy.magnitudes).num_levels
    drawn_level = jax.random.randint(level_key, shape, 0, num_levels, jnp.int32)
    return Plan(
        operation,
        jnp.where(probability < 0, drawn_probability, probability),
        jnp.where(level < 0, drawn_level, level),
    )


def draw_steps(key: KeyArray, policy: Policy, plan: Plan, height: int, width: int) -> PolicyDraw:
    """Draws, for a plan, whether each step is applied, its sign, and where."""
    applied_key, sign_key, place_key = jax.random.split(key, 3)
    shape = plan.operation.shape
    applied = jax.random.uniform(applied_key, shape, jnp.float32) < plan.probability
    negative = jax.random.bernoulli(sign_key, shape=shape)
    table = jnp.asarray(parameter_table(policy, height, width))
    parameters = table[plan.operation, plan.level, negative.astype(jnp.int32)]

    def place(key, operation, parameters):
        operations = _on_pixels(policy)
        return place_operation(key, operation, parameters, height, width, operations=operations)

    place_keys = jax.random.split(place_key, shape[0])
    placed = jax.vmap(place)(place_keys, plan.operation, parameters)
    return PolicyDraw(plan, applied, negative, placed)


def draw_policy(key: KeyLike, policy: Policy, height: int, width: int) -> PolicyDraw:
    """Draws everything that the policy does to one image of this size."""
    plan_key, steps_key = jax.random.split(as_key(key))
    return draw_steps(steps_key, policy, draw_plan(plan_key, policy), height, width)


def apply_policy(image: PixelImage, policy: Policy, draw: PolicyDraw) -> PixelImage:
    """Applies the steps of a draw in order; Mixup, which has no partner here, does nothing."""
    operations = _on_pixels(policy)

    def step(image, drawn):
        operation, applied, parameters = drawn
        index = jnp.where(applied, operation, operations.index(IDENTITY))
        return apply_operation(image, index, parameters, operations=operations), None

    image, _ = jax.lax.scan(
        step, jnp.asarray(image), (draw.plan.operation, draw.applied, draw.parameters)
    )
    return image


def describe_draw(policy: Policy, draw: PolicyDraw, height: int, width: int) -> list[str]:
    """The steps that were applied, in order: the operation and its magnitude in words."""
    told = []
    for place in np.flatnonzero(draw.applied):
        name = policy.operations[int(draw.plan.operation[place])]
        if name == IDENTITY:
            continue
        magnitude = magnitude_of(
            name,
            int(draw.plan.level[place]),
            sign=-1 if draw.negative[place] else 1,
            height=height,
            width=width,
            mapping=policy.magnitudes,
        )
        name = name.partition("-")[0]
        told.append(name if magnitude is None else f"{name} {magnitude:.3g}")
    return told
