"""Rows of the Jacobian, computed and kept on the devices of a mesh."""

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from ntk_aug.aliases import Inputs, Targets
from ntk_aug.checks import check_mesh
from ntk_aug.errors import NotFiniteError
from ntk_aug.inputs import cast_inputs, num_examples, take_examples
from ntk_aug.jacobian.outputs import one_example
from ntk_aug.jacobian.row_factors import RowFactors
from ntk_aug.jacobian.rows import JacobianRows
from ntk_aug.precision import derivative_precision


class ShardedRows:
    """Computes rows as `JacobianRows` does, a share of the images on each device.

    Attributes:
      rows: of one network.
      sharding: of every array of the result: along its first axis.
    """

    def __init__(self, rows: JacobianRows, mesh: Mesh):
        """Prepares the computation; raises InputError unless the mesh has one axis."""
        check_mesh(mesh)
        self.rows = rows
        spec = PartitionSpec(mesh.axis_names)
        self.sharding = NamedSharding(mesh, spec)

        def on_a_device(leaves, images, labels):
            def of_image(example):
                image, label = example
                pieces = rows.factor_program(leaves, one_example(image), label[None])
                return [piece[0] for piece in pieces]

            size = min(rows.block_size, num_examples(images))
            pieces = jax.lax.map(of_image, (images, labels), batch_size=size)
            finite = jnp.stack([jnp.isfinite(piece).all(axis=(1, 2)) for piece in pieces])
            flat = [piece.reshape(-1, piece.shape[-1]) for piece in pieces]
            factors = rows.layout.joined(flat, jnp.concatenate)
            return factors[:3], finite.all(axis=0)

        # check_vma=False: otherwise JAX would sum derivatives by replicated values over devices.
        self._compute = jax.jit(
            jax.shard_map(
                on_a_device,
                mesh=mesh,
                in_specs=(PartitionSpec(), spec, spec),
                out_specs=spec,
                check_vma=False,
            )
        )

    def __call__(
        self,
        images: Inputs,
        labels: Targets | None = None,
        *,
        start: int = 0,
        stop: int | None = None,
    ) -> RowFactors:
        """The rows of images start to stop - 1; arguments and errors as `JacobianRows.factors`.

        Images are padded with the last one to a multiple of the devices.
        """
        stop = num_examples(images) if stop is None else stop
        images, labels = self.rows.checked(images, labels, start=start, stop=stop)
        devices = self.sharding.mesh.size
        count = -(-(stop - start) // devices) * devices
        members = np.minimum(np.arange(start, start + count), stop - 1)
        with derivative_precision(self.rows.dtype):
            inputs = cast_inputs(take_examples(images, members), self.rows.dtype)
            batch = jax.device_put((inputs, labels[members]), self.sharding)
            (held, inputs, cotangents), finite = self._compute(self.rows.leaves, *batch)
        finite = np.asarray(finite)
        if not finite.all():
            raise NotFiniteError(start + int(np.argmin(finite)))
        return RowFactors(held, inputs, cotangents, self.rows.outputs_per_example)
