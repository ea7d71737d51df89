"""Rows of the Jacobian of one example, layer by layer: c' J(W, x) for given c.

One forward pass, one backward pass to the sites (see `sites.SiteTrace`) for each c, and at each
site the product of its input with the cotangent of its output. Under `jax.vmap` over examples these
are ordinary batched passes; `vmap(jacrev)` makes grouped convolutions, which are several times
slower.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ntk_aug.jacobian.routes import route_of
from ntk_aug.jacobian.sites import SiteTrace, apply_operation, shape_of


def example_rows(
    trace: SiteTrace,
    leaves: Sequence[jax.Array],
    example: Sequence[Any],
    cotangents: jax.Array,
    factored: Mapping[int, int] = MappingProxyType({}),
) -> tuple[list[jax.Array], list[tuple[jax.Array, jax.Array]]]:
    """The product c' J for each row c of `cotangents` [m, k]; the identity gives the rows of J.

    `trace` is that of the function (leaves, *example) -> outputs [k], for parameters `leaves` and
    arrays of one example. The parameters `factored`, from `factored_leaves`, are returned in
    factors.

    Returns:
      The rows [m, *shape] of each parameter that is not in factors, in order; and for each that is,
      (x [inputs], d [m, outputs]), whose row i is the outer product of x and d_i.
    """
    _, pull_back = jax.vjp(trace.parameters_at_sites, list(leaves))
    _, backward, operands = jax.vjp(
        lambda perturbations: trace.forward(leaves, example, perturbations),
        trace.zero_perturbations(),
        has_aux=True,
    )
    m = len(cotangents)
    (of_results,) = jax.vmap(backward)(cotangents)
    at_sites = [
        _site_rows(site, values, result)
        if number not in factored.values()
        else [jnp.zeros((m, *values[1].shape), values[1].dtype)]
        for number, (site, values, result) in enumerate(
            zip(trace.sites, operands, of_results, strict=True)
        )
    ]
    (rows,) = jax.vmap(pull_back, axis_size=m)(at_sites)
    factors = [
        (operands[number][0].reshape(-1), of_results[number][0].reshape(m, -1))
        for number in factored.values()
    ]
    return [row for leaf, row in enumerate(rows) if leaf not in factored], factors


def block_program(
    trace: SiteTrace, k: int, dtype: str, factored: Mapping[int, int]
) -> jax.stages.Wrapped:
    """A compiled program (parameters, images, labels) -> pieces [images, r, size].

    The pieces are those of `row_factors.FactorLayout`.
    """

    def pieces_of_example(leaves, image, label):
        rows, factors = _all_rows(trace, k, dtype, factored, leaves, image, label)
        return [*rows, *(x[None] for x, _ in factors), *(d for _, d in factors)]

    return jax.jit(jax.vmap(pieces_of_example, in_axes=(None, 0, 0)))


def squares_program(
    trace: SiteTrace, k: int, dtype: str, factored: Mapping[int, int]
) -> Callable[..., list[jax.Array]]:
    """A compiled program (parameters, images, labels) -> [one array [images, k, parameters]].

    Each entry is the norm of a row's columns of one parameter. Rows never leave the program, and |x
    (x) d| = |x| |d| for those in factors.
    """

    def squares_of_example(leaves, image, label):
        rows, factors = _all_rows(trace, k, dtype, factored, leaves, image, label)
        of_rows = [_norms(row) for row in rows]
        return [jnp.stack([*of_rows, *(_norms(x) * _norms(d) for x, d in factors)], axis=-1)]

    return jax.jit(jax.vmap(squares_of_example, in_axes=(None, 0, 0)))


def _all_rows(trace, k, dtype, factored, leaves, image, label):
    """All k rows of one example: [k, size] of each parameter not in factors, and the factors."""
    example = [image, label, jnp.zeros(k, dtype)]
    rows, factors = example_rows(trace, leaves, example, jnp.eye(k, dtype=dtype), factored)
    # A layer of lower precision returns factors of that precision.
    factors = [(x.astype(dtype), d.astype(dtype)) for x, d in factors]
    return [row.reshape(k, -1) for row in rows], factors


def _norms(values):
    # In units of the largest entry, because float32 squares underflow below 1e-19.
    largest = jnp.max(jnp.abs(values), axis=-1, initial=0)
    unit = jnp.where(largest == 0, 1, largest)
    return unit * jnp.sqrt(jnp.sum(jnp.square(values / unit[..., None]), axis=-1))


def factored_leaves(trace: SiteTrace) -> dict[int, int]:
    """Maps each parameter whose rows are outer products to its site.

    These are the kernels of dense layers applied once, to one vector for each example.
    """
    found = {}
    for leaf, number in dense_layers(trace).items():
        site = trace.sites[number]
        if site.positions == (1,) and site.unchanged[0]:
            found[leaf] = number
    return found


def dense_layers(trace: SiteTrace) -> dict[int, int]:
    """Maps the kernel of each dense layer that is applied once, to one vector, to its site.

    The kernel may be on either side of the product, transposed or in another precision: its
    gradient is an outer product in either order of axes.
    """
    uses = Counter(leaf for site in trace.sites for leaves in site.leaves for leaf in leaves)
    found = {}
    for number, site in enumerate(trace.sites):
        if site.equation.primitive.name != "dot_general" or len(site.positions) != 1:
            continue
        ((position,), (leaves,)) = site.positions, site.leaves
        contracted, batched = site.equation.params["dimension_numbers"]
        shapes = [shape_of(variable) for variable in site.equation.invars]
        inputs, kernel = shapes[1 - position], shapes[position]
        summed = [inputs.shape[axis] for axis in contracted[1 - position]]
        one_vector = inputs.size == int(np.prod(summed)) and len(summed) == 1
        once = len(leaves) == 1 and site.rearranged[0] and uses[min(leaves)] == 1
        if once and one_vector and kernel.ndim == 2 and not batched[0]:
            found[min(leaves)] = number
    return dict(sorted(found.items()))


def _site_rows(site, operands, cotangents):
    """Cotangents [m, ...] of the parameters at a site, from those of its results."""
    if all(route_of(site, position) == "patches" for position in site.positions):
        images, kernel = operands
        return [_convolution_rows(site.equation.params, images, kernel.shape, *cotangents)]

    def results(*parameters):
        values = list(operands)
        for position, parameter in zip(site.positions, parameters, strict=True):
            values[position] = parameter
        outputs = apply_operation(site.equation, values)
        return [o for o, c in zip(outputs, cotangents, strict=True) if c is not None]

    _, backward = jax.vjp(results, *(operands[position] for position in site.positions))
    return list(jax.vmap(backward)([c for c in cotangents if c is not None]))


def _convolution_rows(params, images, kernel_shape, cotangents):
    """Cotangents [m, *kernel_shape] of a convolution's kernel, from those of its result.

    The cotangent of the kernel at an offset sums image(position + offset) times cotangent(position)
    over positions. This is one matrix product: (row and output channel) x position times position x
    (offset and input channel).
    """
    dims = params["dimension_numbers"]
    groups, strides = params["feature_group_count"], params["window_strides"]
    _, in_channel, *in_spatial = dims.lhs_spec
    # [n, *spatial, channels]. If a layer sees several images of one example, such as the frames of
    # a film, these are further positions.
    images = jnp.transpose(images, (dims.lhs_spec[0], *in_spatial, in_channel))
    padding = zip(params["padding"], params["lhs_dilation"], strict=True)
    images = jax.lax.pad(
        images,
        jnp.zeros((), images.dtype),
        [(0, 0, 0), *((low, high, dilation - 1) for (low, high), dilation in padding), (0, 0, 0)],
    )
    out_batch, out_channel, *out_spatial = dims.out_spec
    cotangents = jnp.transpose(
        cotangents, (0, *(1 + axis for axis in (out_batch, *out_spatial, out_channel)))
    )  # [m, n, *spatial, channels]
    m, n, *sizes, channels_out = cotangents.shape
    window = [kernel_shape[axis] for axis in dims.rhs_spec[2:]]
    patches = []
    for offset in np.ndindex(*window):
        start = np.multiply(offset, params["rhs_dilation"])
        stop = start + np.multiply(np.subtract(sizes, 1), strides) + 1
        values = jax.lax.slice(
            images, (0, *start, 0), (n, *stop, images.shape[-1]), (1, *strides, 1)
        )
        patches.append(values.reshape(-1, groups, images.shape[-1] // groups))
    patches = jnp.stack(patches, axis=2)  # [positions, groups, offsets, channels of a group]
    patches = jnp.moveaxis(patches, 1, 0).reshape(groups, len(patches), -1)
    cotangents = cotangents.reshape(m, -1, groups, channels_out // groups)
    cotangents = jnp.transpose(cotangents, (2, 0, 3, 1)).reshape(groups, -1, patches.shape[1])
    kernel = jnp.matmul(cotangents, patches).reshape(
        groups, m, channels_out // groups, *window, images.shape[-1] // groups
    )
    # To [m, out, in, *window], and then to the kernel's own order of axes.
    kernel = jnp.moveaxis(kernel, (1, 0, 2, -1), (0, 1, 2, 3))
    kernel = kernel.reshape(m, channels_out, -1, *window)
    return jnp.transpose(kernel, (0, *(1 + np.argsort(dims.rhs_spec))))
