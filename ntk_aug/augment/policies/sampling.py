"""Draws of a policy for one image: `draw_policy` makes them, `apply_policy` applies them."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ntk_aug.aliases import Array, Bool, Float, Int, KeyArray, KeyLike, PixelImage
from ntk_aug.augment.pixels.operations import apply_operation, operation_parameters, place_operation
from ntk_aug.augment.policies.magnitudes import family_of, find_magnitudes, magnitude_of
from ntk_aug.augment.policies.policy import IDENTITY, MIXUP, Policy
from ntk_aug.randomness import as_key


class Plan(NamedTuple):
    """The candidate steps of an image, [num_steps] each.

    Attributes:
      operation: index into the policy's operations.
      probability: probability of applying each step.
      level: level of the policy's mapping.
    """

    operation: Int[Array, " s"]
    probability: Float[Array, " s"]
    level: Int[Array, " s"]


class PolicyDraw(NamedTuple):
    """All draws for one image, [num_steps] each.

    Attributes:
      plan: the candidate steps.
      applied: whether each step is applied.
      negative: whether the magnitude's sign is negative, for operations with a sign.
      parameters: parameters of each step, including Cutout's position, [num_steps, 13].
    """

    plan: Plan
    applied: Bool[Array, " s"]
    negative: Bool[Array, " s"]
    parameters: Int[Array, "s 13"]


@functools.lru_cache(maxsize=64)
def parameter_table(policy: Policy, height: int, width: int) -> Int[np.ndarray, "o l 2 13"]:
    """Parameters of each operation of the policy, at each level and sign (positive first)."""
    num_levels = find_magnitudes(policy.magnitudes).num_levels
    given: dict[str, Any] = {"height": height, "width": width, "mapping": policy.magnitudes}
    table = []
    for name in _on_pixels(policy):
        fill = policy.cutout_fill if name.startswith("Cutout") else policy.fill
        magnitudes = [  # 0 for operations that take none
            [magnitude_of(name, level, sign=sign, **given) or 0.0 for sign in (1, -1)]
            for level in range(num_levels if family_of(name) else 1)
        ]
        parameters = operation_parameters(name, magnitudes, height, width, fill=fill)
        table.append(np.broadcast_to(parameters, (num_levels, *parameters.shape[1:])))
    return np.stack(table)


def _on_pixels(policy: Policy) -> tuple[str, ...]:
    """The policy's operations as keys of OPERATIONS; Mixup becomes the identity."""
    return tuple(
        IDENTITY if name == MIXUP else policy.full_name(name) for name in policy.operations
    )


@functools.lru_cache(maxsize=64)
def _rows(policy: Policy):
    """Operation, probability and level of each cell, [rows, steps]; -1 stands for drawn."""
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
    """Draws the sub-policies, and the probabilities and levels that the table leaves open."""
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
    """Draws, for each step of a plan, whether it is applied, its sign, and its position."""
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
    """Draws what the policy applies to one image of this size."""
    plan_key, steps_key = jax.random.split(as_key(key))
    return draw_steps(steps_key, policy, draw_plan(plan_key, policy), height, width)


def apply_policy(image: PixelImage, policy: Policy, draw: PolicyDraw) -> PixelImage:
    """Applies the steps of a draw in order; Mixup does nothing without a partner."""
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
    """Describes the applied steps in order, each by its operation and magnitude."""
    given: dict[str, Any] = {"height": height, "width": width, "mapping": policy.magnitudes}
    told = []
    for place in np.flatnonzero(draw.applied):
        name = policy.operations[int(draw.plan.operation[place])]
        if name == IDENTITY:
            continue
        level, sign = int(draw.plan.level[place]), -1 if draw.negative[place] else 1
        magnitude = magnitude_of(name, level, sign=sign, **given)
        name = name.partition("-")[0]
        told.append(name if magnitude is None else f"{name} {magnitude:.3g}")
    return told
