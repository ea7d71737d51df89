"""The routes of a study from images to the spectra of J and of each J~."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from jax.sharding import Mesh

from ntk_aug.aliases import Inputs, Labels, Progress
from ntk_aug.checks import check_choice, check_dtype, check_mesh, check_writable_folder
from ntk_aug.errors import InputError
from ntk_aug.jacobian import JacobianRows
from ntk_aug.models import ModelView
from ntk_aug.ntk import kernel_triples
from ntk_aug.ntk.neural_tangents.blocks import NEURAL_TANGENTS_IMPLEMENTATIONS
from ntk_aug.ntk.neural_tangents.kernels import DEFAULT_IMPLEMENTATION, neural_tangents_triples
from ntk_aug.ntk.row_store import gib_rounded_up, images_per_tile
from ntk_aug.ntk.triples import DEFAULT_MEMORY_BYTES
from ntk_aug.records import StrPath
from ntk_aug.spectrum.decomposition import (
    SpectrumPair,
    factors_of_kernel,
    pair_from_jacobians,
    pair_from_kernels,
)

BACKENDS = {
    "kernel": "K, M and K~ summed in float64 from streamed Jacobian rows",
    "svd": "direct float64 SVD of both Jacobians; for small problems, and as a second route",
    "neural_tangents": "K, M and K~ by neural_tangents, summed in the precision of the network",
}


@dataclass(frozen=True)
class Backend:
    """A route with its settings, which are arguments of `study_spectrum`."""

    name: str = "kernel"
    rows: str = "logits"
    dtype: str = "float32"
    implementation: str = DEFAULT_IMPLEMENTATION
    memory_bytes: int = DEFAULT_MEMORY_BYTES
    mesh: Mesh | None = None
    blocks_folder: StrPath | None = None

    def check(self) -> None:
        """Raises InputError for settings that are unknown or do not go together."""
        check_choice(self.name, BACKENDS, "backend")
        check_dtype(self.dtype)
        check_choice(self.implementation, NEURAL_TANGENTS_IMPLEMENTATIONS, "implementation")
        if self.name == "svd" and self.dtype != "float64":
            raise InputError(f"backend 'svd' needs dtype 'float64', not {self.dtype!r}")
        if self.name != "kernel" and (self.mesh is not None or self.blocks_folder is not None):
            raise InputError(f"mesh and blocks_folder are for backend 'kernel', not {self.name!r}")
        if self.mesh is not None:
            check_mesh(self.mesh)
        if self.blocks_folder is not None:
            check_writable_folder(self.blocks_folder)

    def check_memory(self, engine: JacobianRows, n: int) -> None:
        """Raises InputError if the budget is too small for n images, and says what suffices."""
        if self.name == "kernel":
            images_per_tile(engine, n, self.memory_bytes)
        needed = 2 * n * engine.outputs_per_example * engine.row_bytes
        if self.name == "svd" and needed > self.memory_bytes:
            raise InputError(
                f"backend 'svd' holds two Jacobians, {gib_rounded_up(needed)} GiB; the memory "
                f"budget is {self.memory_bytes / 2**30:.3g} GiB: use backend 'kernel'"
            )

    def pairs(
        self,
        view: ModelView,
        engine: JacobianRows,
        inputs: Inputs,
        versions: Iterable[Inputs],
        labels: Labels | None,
        progress: Progress | None,
    ) -> Iterator[SpectrumPair]:
        """Yields the spectrum of the plain inputs with that of each augmented version."""
        if self.name == "svd":
            J = engine(inputs, labels)
            for version in versions:
                yield pair_from_jacobians(J, engine(version, labels))
            return
        plain = None
        for triple in self._triples(view, engine, inputs, versions, labels, progress):
            if plain is None:  # K is the same for all versions
                plain = factors_of_kernel(triple.plain, engine.num_params)
            yield pair_from_kernels(plain, triple, engine.num_params)

    def _triples(self, view, engine, inputs, versions, labels, progress):
        if self.name == "kernel":
            return kernel_triples(
                engine,
                inputs,
                versions,
                labels,
                memory_bytes=self.memory_bytes,
                mesh=self.mesh,
                blocks_folder=self.blocks_folder,
                progress=progress,
            )
        return neural_tangents_triples(
            view,
            inputs,
            versions,
            labels,
            rows=self.rows,
            implementation=self.implementation,
            dtype=self.dtype,
            progress=progress,
        )
