"""Matrices with known singular values and vectors; gradients; texts with numbers."""

import re

import numpy as np
import pytest


def orthogonal(rng, size):
    """A uniformly distributed orthogonal matrix."""
    Q, R = np.linalg.qr(rng.standard_normal((size, size)))
    return Q * np.sign(np.diag(R))


def matrix_with_singular_values(rng, values, shape):
    """U diag(values) V' with uniform U [rows, r] and V [columns, r]; returns (matrix, U, V)."""
    U = orthogonal(rng, shape[0])[:, : len(values)]
    V = orthogonal(rng, shape[1])[:, : len(values)]
    return (U * values) @ V.T, U, V


def largest_sine(A, B):
    """Sine of the largest principal angle between the spans of orthonormal A and B."""
    return np.linalg.norm(B - A @ (A.T @ B), 2)


def pairwise(gradients):
    """Distances from differences, in float64."""
    return np.linalg.norm(gradients[:, None] - gradients[None], axis=2)


def random_gradients(seed, n, num_columns=5):
    """Rows of very different lengths, as gradients are."""
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n, num_columns)) * np.exp(2 * rng.standard_normal((n, 1)))


def softmax_gradients(seed, n):
    logits = 2 * np.random.default_rng(seed).standard_normal((n, 4))
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return probabilities - np.eye(4)[0]


def inner_products(factors):
    """<g_i, g_j> of all pairs."""
    products = factors.outer @ factors.outer.T
    return products if factors.inner is None else products * (factors.inner @ factors.inner.T)


def same_but_for_digits(one, other, *, relative=0.05, absolute=0.02):
    """Whether two texts are the same, but for numbers that are nearly so."""
    number = re.compile(r"[-+]?\d+(?:,\d{3})*(?:\.\d+)?(?:e[-+]?\d+)?")
    if number.sub("#", one) != number.sub("#", other):
        return False
    values = [[float(n.replace(",", "")) for n in number.findall(text)] for text in (one, other)]
    return values[0] == pytest.approx(values[1], rel=relative, abs=absolute)
