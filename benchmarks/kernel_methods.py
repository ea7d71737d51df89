"""What `benchmarks.kernels` measures: rows and kernels by each method, from the same weights.

Each function gives (rows, kernel), to be called again and again; None where there is none.
"""

import numpy as np

from ntk_aug.ntk.products import factor_products

NUM_CLASSES = 3


def weights(network: str):
    """The network in PyTorch, and its weights for Flax."""
    import torch

    from benchmarks import torch_networks

    torch.manual_seed(0)
    torch.set_num_threads(1)
    if network == "mlp":
        net = torch_networks.torch_mlp(NUM_CLASSES)
        return net.eval(), torch_networks.flax_mlp_variables(net)
    if network == "mixer":
        net = torch_networks.torch_mixer(NUM_CLASSES)
        return net.eval(), torch_networks.flax_mixer_variables(net)
    net = torch_networks.torch_resnet(NUM_CLASSES, 3, 3)
    return net.eval(), torch_networks.flax_variables(net)


def flax_view(options, variables):
    """The network as ours."""
    import jax

    from benchmarks import torch_networks
    from ntk_aug import models

    jax.config.update("jax_platforms", "cpu")
    if options.network == "mlp":
        module = models.MLP(NUM_CLASSES, width=512, activation="relu")
    elif options.network == "mixer":
        module = torch_networks.flax_mixer(NUM_CLASSES)
    else:
        module = models.CifarResNet(NUM_CLASSES)
    return models.linen_view(module, variables)


def engine_of(options, variables, images):
    """Our rows."""
    from ntk_aug import jacobian

    view = flax_view(options, variables)
    return jacobian.JacobianRows(view, images.shape[1:])


def ours(options, net, variables, images):
    """`JacobianRows` and `factor_products`."""
    engine = engine_of(options, variables, images)
    J, factors = np.empty((len(images) * NUM_CLASSES, engine.num_params), np.float32), None

    def kernel():
        nonlocal factors
        factors = engine.factors(images, out=factors)
        return factor_products(factors, factors)

    return lambda: engine(images, out=J), kernel


def ours_in_a_third(options, net, variables, images):
    """`empirical_kernel` held to a third of the Jacobian: a quarter for rows, the rest for work."""
    from ntk_aug import ntk

    engine = engine_of(options, variables, images)
    budget = len(images) * NUM_CLASSES * engine.row_bytes // 4
    return None, lambda: ntk.empirical_kernel(engine, images, memory_bytes=budget)


def vmap_jacrev(options, net, variables, images):
    """What one writes first in JAX, in blocks of 20 images."""
    import jax
    import jax.numpy as jnp

    from ntk_aug.ntk.products import row_products

    view = flax_view(options, variables)

    @jax.jit
    @jax.vmap
    def block(image):
        leaves = jax.tree.leaves(
            jax.jacrev(lambda params: view.apply_fn(params, image[None])[0])(view.params)
        )
        return jnp.concatenate([leaf.reshape(NUM_CLASSES, -1) for leaf in leaves], axis=1)

    num_params = sum(leaf.size for leaf in jax.tree.leaves(view.params))
    J = np.empty((len(images) * NUM_CLASSES, num_params), np.float32)

    def rows():
        for start in range(0, len(images), 20):
            values = np.asarray(block(images[start : start + 20]))
            J[start * NUM_CLASSES :][: values.shape[0] * NUM_CLASSES] = values.reshape(
                -1, num_params
            )
        return J

    def kernel():
        rows()
        return row_products(J, J)

    return rows, kernel


def torch_func(options, net, variables, images):
    """torch.func's vmap(jacrev), in blocks of 20 images."""
    import torch

    from ntk_aug.ntk.products import row_products

    inputs = torch.from_numpy(images.transpose(0, 3, 1, 2).copy())
    params = {name: value.detach() for name, value in net.named_parameters()}
    buffers = dict(net.named_buffers())

    def outputs(params, image):
        return torch.func.functional_call(net, (params, buffers), image[None])[0]

    jacobian_of = torch.func.vmap(torch.func.jacrev(outputs), (None, 0))
    num_params = sum(value.numel() for value in params.values())
    J = torch.empty(len(images), NUM_CLASSES, num_params)

    def rows():
        for start in range(0, len(images), 20):
            block = slice(start, start + 20)
            leaves = jacobian_of(params, inputs[block])
            first = 0
            for leaf in leaves.values():
                size = leaf[0, 0].numel()
                J[block, :, first : first + size] = leaf.reshape(len(leaf), NUM_CLASSES, size)
                first += size
        return J

    def kernel():
        matrix = rows().reshape(-1, num_params).numpy()
        return row_products(matrix, matrix)

    return rows, kernel


def nngeometry(options, net, variables, images):
    """The hooks of nngeometry: layer by layer, as ours."""
    import torch
    from nngeometry.backend import TorchHooksJacobianBackend
    from torch.utils.data import DataLoader, TensorDataset

    from ntk_aug.ntk.products import row_products

    if options.network == "mixer":
        # Its hooks multiply two-dimensional inputs only: no dense layer shared over positions.
        return None, None
    inputs = torch.from_numpy(images.transpose(0, 3, 1, 2).copy())
    loader = DataLoader(TensorDataset(inputs), batch_size=20)

    def rows():
        return TorchHooksJacobianBackend(net, lambda x: net(x)).get_jacobian(loader)

    def product():
        J = rows().transpose(0, 1).reshape(len(images) * NUM_CLASSES, -1).numpy()
        # Parameters are in another order, which the product does not see.
        return row_products(J, J)

    def own():
        gram = TorchHooksJacobianBackend(net, lambda x: net(x)).get_gram_matrix(loader)
        return gram.permute(1, 0, 3, 2).reshape(len(images) * NUM_CLASSES, -1).detach().numpy()

    return rows, own if options.network == "mlp" else product


def neural_tangents(options, net, variables, images):
    """The fastest implementation, through our bridge, in blocks of 20 images."""
    from ntk_aug import ntk

    view = flax_view(options, variables)
    if len(images) > options.max_neural_tangents and options.network != "mlp":
        return None, None

    def kernel():
        # K alone: the blocks of the triangle, as for the others.
        return ntk.neural_tangents_kernel(view, images)

    return None, kernel


METHODS = {
    "ntk_aug": ours,
    "ntk_aug, again": ours,
    "ntk_aug, J / 3": ours_in_a_third,
    "vmap(jacrev)": vmap_jacrev,
    "torch.func": torch_func,
    "nngeometry": nngeometry,
    "neural_tangents": neural_tangents,
}


def operations(options, variables, images) -> dict:
    """Useful floating-point operations, and the size of the Jacobian.

    Rows of an image: XLA's own count of a forward pass, once for that pass and twice for each
    output, a backward pass and the products of the layers' inputs with its cotangents.
    J J': two for each entry of a triangle and each parameter.
    """
    import jax

    view = flax_view(options, variables)
    engine = engine_of(options, variables, images)
    forward = jax.jit(view.apply_fn).lower(view.params, images[:1]).compile()
    num_rows = len(images) * NUM_CLASSES
    return {
        "rows_flop": len(images) * forward.cost_analysis()["flops"] * (1 + 2 * NUM_CLASSES),
        "product_flop": num_rows * (num_rows + 1) * engine.num_params,
        "jacobian_gib": num_rows * engine.row_bytes / 2**30,
    }
