"""By which route the rows of each parameter are computed, and a warning where it is a slow one."""

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


# From how many parameters on a warning tells that rows take the slow route.
_MANY_PARAMETERS = 10_000


class SlowRowsWarning(UserWarning):
    """Tells that the rows of many parameters are computed by the slow route "general"."""


def share_on_slow_route(routes: Mapping[str, tuple[str, ...]], sizes: Mapping[str, int]) -> float:
    """The share of the parameters whose rows take "general"; warns if they are many.

    Args:
      routes: of each parameter, by its path.
      sizes: how many numbers each parameter is.
    """
    slow = sum(sizes[path] for path, taken in routes.items() if "general" in taken)
    total = sum(sizes.values())
    if slow >= _MANY_PARAMETERS:
        warnings.warn(
            f"rows of {slow:,} of {total:,} parameters take the route 'general', about ten times "
            "slower than layer by layer: layers inside loops (scan), or operations that are not "
            "known here; see JacobianRows.routes",
            SlowRowsWarning,
            stacklevel=3,
        )
    return slow / total


def routes_of(trace: SiteTrace, num_leaves: int) -> list[tuple[str, ...]]:
    """For each parameter the `ROUTES` that its rows take; several where it is used in several."""
    taken: list[set[str]] = [set() for _ in range(num_leaves)]
    for site in trace.sites:
        for position, leaves in zip(site.positions, site.leaves, strict=True):
            for leaf in leaves:
                taken[leaf].add(route_of(site, position))
    return [tuple(sorted(names)) for names in taken]


def is_elementwise(site: Site) -> bool:
    """Whether parameters come in entry by entry: a bias, a scale, an embedding."""
    return all(route_of(site, position) == "elementwise" for position in site.positions)


def route_of(site: Site, position: int) -> str:
    """The key of `ROUTES` by which the parameters at an operand of a site get their rows."""
    name, params = site.equation.primitive.name, site.equation.params
    if name == "conv_general_dilated":
        own = site.positions == (1,) and position == 1 and params["batch_group_count"] == 1
        return "patches" if own else "general"
    if name == "dot_general":
        return "product"
    return "elementwise" if name in _ELEMENTWISE else "general"
