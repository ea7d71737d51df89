"""Matrices that are built to have known singular values and vectors."""

import numpy as np


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
