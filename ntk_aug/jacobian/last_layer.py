"""The last dense layer of a network, and the gradients of a loss by its weights, in factors.

With h the input of the layer and d the loss's gradient by its output, the gradient by the kernel is
the outer product of h and d, and by the bias it is d. This costs a forward pass: the backward pass
ends at the layer.
"""

from typing import Any, NamedTuple

import jax

from ntk_aug.aliases import Array, Float, Inputs, Params
from ntk_aug.errors import InputError
from ntk_aug.inputs import as_example_shapes
from ntk_aug.jacobian.layerwise import dense_layers
from ntk_aug.jacobian.outputs import one_example
from ntk_aug.jacobian.routes import is_elementwise
from ntk_aug.jacobian.sites import SiteTrace, shape_of
from ntk_aug.losses import loss_residuals
from ntk_aug.models import as_view
from ntk_aug.models.outputs import count_outputs


class LayerGradients(NamedTuple):
    """The gradients of a batch of examples.

    Attributes:
      logits: the network's outputs f.
      inputs: h, the layer's inputs.
      cotangents: d, the loss's gradient by the layer's outputs.
      of_bias: the loss's gradient by the sum with the bias: d, unless something else stands between
        them. Zeros without a bias.
    """

    logits: Float[jax.Array, "n C"]
    inputs: Float[jax.Array, "n inputs"]
    cotangents: Float[jax.Array, "n outputs"]
    of_bias: Float[jax.Array, "n outputs"]


class LastLayer:
    """The last dense layer of a network, found in the traced program.

    Attributes:
      kernel: the path of its kernel, such as "['output']['kernel']".
      bias: the path of its bias, or None.
    """

    def __init__(self, network: Any, example: Any, *, layer: str | None = None):
        """Traces the network; nothing is computed.

        Args:
          network: as `models.as_view` takes it. Its parameters may be shapes; later calls may use
            others of the same shapes.
          example: shape of one input, as `JacobianRows` takes it.
          layer: the path of a kernel, or its beginning, such as "['output']". None takes the layer
            after which parameters only enter entrywise sums and products.

        Raises:
          InputError: no such layer, or one that is not applied once to one vector per image.
        """
        apply_fn, params, _ = as_view(network)
        leaves, treedef = jax.tree.flatten(params)
        paths = [jax.tree_util.keystr(p) for p, _ in jax.tree_util.tree_leaves_with_path(params)]
        shapes = [jax.ShapeDtypeStruct(leaf.shape, leaf.dtype) for leaf in leaves]
        example = as_example_shapes(example, "float32")
        count_outputs((apply_fn, jax.tree.unflatten(treedef, shapes)), example)

        def of_example(leaves, example):
            return apply_fn(jax.tree.unflatten(treedef, leaves), one_example(example))[0]

        self._trace = SiteTrace(of_example, shapes, [example])
        dense = {site: paths[leaf] for leaf, site in dense_layers(self._trace).items()}
        self._site = _chosen(self._trace, dense, paths, layer)
        self.kernel = dense[self._site]
        self._bias_site, leaf = _bias_of(self._trace, self._site, shapes)
        self.bias = None if leaf is None else paths[leaf]

    def gradients(
        self, loss: str, params: Params, images: Inputs, targets: Array
    ) -> LayerGradients:
        """The gradients of each image's loss, to be traced by JAX.

        The loss is a key of `losses.LOSSES`; images are inputs [n, ...], and targets labels [n] or
        soft labels [n, C].
        """
        leaves = jax.tree.leaves(params)
        residuals_of = loss_residuals(loss)

        def of_example(image, target):
            zeros = self._trace.zero_perturbations()

            def outputs(at_layer, at_bias):
                perturbations: list[list[Any]] = [[None] * len(own) for own in zeros]
                perturbations[self._site] = [at_layer]
                if self._bias_site is not None:
                    perturbations[self._bias_site] = [at_bias]
                return self._trace.forward(leaves, [image], perturbations)

            at_layer = zeros[self._site][0]
            at_bias = at_layer if self._bias_site is None else zeros[self._bias_site][0]
            logits, backward, operands = jax.vjp(outputs, at_layer, at_bias, has_aux=True)
            of_layer, of_bias = backward(residuals_of(logits, target))
            (kernel,) = self._trace.sites[self._site].positions
            inputs = operands[self._site][1 - kernel]
            return LayerGradients(logits, inputs.ravel(), of_layer.ravel(), of_bias.ravel())

        return jax.vmap(of_example)(images, targets)


def _chosen(trace, dense, paths, layer):
    """The number of the layer's site."""
    if layer is not None:
        found = [site for site, path in dense.items() if path.startswith(layer)]
        if len(found) != 1:
            raise InputError(
                f"layer {layer!r} fits {len(found)} dense layers, expected one of "
                f"{', '.join(dense.values()) or '(the network has none)'}"
            )
        return found[0]
    others = [i for i, site in enumerate(trace.sites) if not is_elementwise(site)]
    if not others:
        raise InputError("the network has no dense layer")
    if others[-1] not in dense:
        site = trace.sites[others[-1]]
        names = ", ".join(sorted(paths[leaf] for leaves in site.leaves for leaf in leaves))
        raise InputError(
            f"the last operation with weights is {site.equation.primitive.name} of {names}, "
            "expected a dense layer applied once to one vector per image: name a layer, or use "
            "another proxy"
        )
    return others[-1]


def _bias_of(trace, number, shapes):
    """The site that adds a bias to the layer's output, and the bias's number."""
    size = shape_of(trace.sites[number].equation.outvars[0]).size
    if number + 1 == len(trace.sites):
        return None, None
    site = trace.sites[number + 1]
    leaves = frozenset().union(*site.leaves)
    same_size = shape_of(site.equation.outvars[0]).size == size
    if site.equation.primitive.name != "add" or len(leaves) != 1 or not same_size:
        return None, None
    (leaf,) = leaves
    return (number + 1, leaf) if shapes[leaf].size == size else (None, None)
