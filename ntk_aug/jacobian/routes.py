"""The routes by which rows of each parameter are computed, and a warning about slow ones."""

import warnings
from collections.abc import Mapping

from ntk_aug.jacobian.sites import Site, SiteTrace

ROUTES = {
    "patches": "a convolution: products of image patches and cotangents",
    "product": "a dense layer: products of inputs and cotangents",
    "elementwise": "a bias, a scale, an embedding: sums of cotangents, weighted or gathered",
    "general": "any other operation: its own derivative, by vmap over the rows",
}

_ELEMENTWISE = ("add", "add_any", "sub", "mul", "div", "neg", "gather", "max", "select_n")
# So many parameters on the slow route cause a warning.
_MANY_PARAMETERS = 10_000


class SlowRowsWarning(UserWarning):
    """Rows of many parameters are computed by the slow route "general"."""


def share_on_slow_route(routes: Mapping[str, tuple[str, ...]], sizes: Mapping[str, int]) -> float:
    """The share of the parameters whose rows take "general"; warns if they are many.

    Routes, and numbers of entries, are by the path of each parameter.
    """
    slow = sum(sizes[path] for path, taken in routes.items() if "general" in taken)
    total = sum(sizes.values())
    if slow >= _MANY_PARAMETERS:
        warnings.warn(
            f"rows of {slow:,} of {total:,} parameters take the route 'general', about ten times "
            "slower than layer by layer: layers inside loops (scan), or unknown operations; see "
            "JacobianRows.routes",
            SlowRowsWarning,
            stacklevel=3,
        )
    return slow / total


def routes_of(trace: SiteTrace, num_leaves: int) -> list[tuple[str, ...]]:
    """The `ROUTES` of the rows of each parameter, one for each kind of use."""
    taken: list[set[str]] = [set() for _ in range(num_leaves)]
    for site in trace.sites:
        for position, leaves in zip(site.positions, site.leaves, strict=True):
            for leaf in leaves:
                taken[leaf].add(route_of(site, position))
    return [tuple(sorted(names)) for names in taken]


def is_elementwise(site: Site) -> bool:
    """Whether parameters enter entry by entry: a bias, a scale, an embedding."""
    return all(route_of(site, position) == "elementwise" for position in site.positions)


def route_of(site: Site, position: int) -> str:
    """The key of `ROUTES` for the parameters at one operand of a site."""
    name, params = site.equation.primitive.name, site.equation.params
    if name == "conv_general_dilated":
        own = site.positions == (1,) and position == 1 and params["batch_group_count"] == 1
        return "patches" if own else "general"
    if name == "dot_general":
        return "product"
    return "elementwise" if name in _ELEMENTWISE else "general"
