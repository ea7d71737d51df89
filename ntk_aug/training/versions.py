"""Augmented versions of the training examples, drawn when they are due.

Weak and strong versions have separate keys. A version depends on the run's key, the epoch of its
last redraw, the example's position in its split, and its number, but not on the batch, the order or
other examples. It is kept until its next redraw.
"""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ntk_aug.aliases import Array, Float32, Int, KeyArray, Progress
from ntk_aug.augment import WuAugmentation, augment_batch, augment_by_loss, build_augmentation
from ntk_aug.data import Dataset, normalize, unit_range
from ntk_aug.errors import InputError
from ntk_aug.inputs import take_examples
from ntk_aug.losses import per_example_loss
from ntk_aug.models import Network
from ntk_aug.models.evaluation import StreamedProgram
from ntk_aug.training.config import MethodConfig, TrainingConfig
from ntk_aug.training.epoch import ORIGINAL, STRONG_STORE, WEAK_STORE, Rows, Sources
from ntk_aug.training.plan import WEAK, EpochPlan, is_wu, versions_per_example
from ntk_aug.training.step import Keys

# Programs are compiled for at least this many images, because the number changes often.
_LEAST_IMAGES = 256


class ExampleVersions:
    """The images of each epoch's plan."""

    def __init__(
        self,
        network: Network,
        dataset: Dataset,
        soft_labels: Float32[np.ndarray, "n C"],
        config: TrainingConfig,
        method: MethodConfig,
        *,
        max_selected: int,
        progress: Progress | None = None,
    ):
        """Prepares the programs; the method of Wu et al. uses the network's loss.

        At most `max_selected` examples are ever selected. `progress` is called with
        ("augmentation", images done, total). Raises InputError if examples to augment are not
        images, or an augmentation changes their shape.
        """
        self._dataset, self._soft_labels, self._method = dataset, soft_labels, method
        self._progress = progress
        self._keys = Keys.of_seed(config.seed)
        self._max_selected = max_selected
        self._max_weak = len(dataset) if method.train_on == "full" else max_selected
        self.original = jax.tree.map(jnp.asarray, dataset.images)
        self._sources = Sources(self.original)
        self._weak_drawn: tuple[int, np.ndarray] | None = None
        self._strong_drawn: tuple[int, np.ndarray] | None = None
        self.strong_labels: Float32[np.ndarray, "s C"] | None = None
        weak = augmentation_for(dataset, config.weak)
        self._weak = StreamedProgram(partial(_augmented, weak))
        self._strong: StreamedProgram | None = None
        if method.augments:
            strong = augmentation_for(dataset, method.augment)
            if is_wu(method):
                self._strong = StreamedProgram(
                    partial(_chosen_by_loss, network, strong, dataset, method)
                )
                self._pixels = jnp.asarray(as_pixels(dataset.images))
            else:
                self._strong = StreamedProgram(partial(_augmented, strong))

    def draw(self, plan: EpochPlan, variables: Any) -> Sources:
        """Returns the images of the plan's rows, after drawing the versions that are due.

        `variables` are (parameters, state) of the network before the epoch.
        """
        if (plan.versions == WEAK).any():
            places = self._weak_places(plan)
            if not _same(self._weak_drawn, (plan.weak_epoch, places)):
                images = self._run(self._weak, self._keys.weak, plan.weak_epoch, 0, places)
                self._sources = self._sources._replace(weak=_on_device(images, self._max_weak))
                self._weak_drawn = plan.weak_epoch, places
        if (plan.versions >= 0).any():
            places = plan.positions[plan.versions == 0]
            if not _same(self._strong_drawn, (plan.strong_epoch, places)):
                self._draw_strong(plan.strong_epoch, places, variables)
        return self._sources

    def rows(self, plan: EpochPlan) -> Rows:
        """Returns the source, place, target and weight of each row of the plan."""
        soft_labels = self._soft_labels[plan.positions]
        source = np.select(
            [plan.versions == WEAK, plan.versions >= 0], [WEAK_STORE, STRONG_STORE], ORIGINAL
        )
        place = plan.positions.copy()
        if (plan.versions == WEAK).any():
            places = self._weak_places(plan)
            number = np.zeros(len(self._dataset), np.int32)
            number[places] = np.arange(len(places))
            weak = source == WEAK_STORE
            place[weak] = number[plan.positions[weak]]
        strong = source == STRONG_STORE
        place[strong] = np.arange(strong.sum())
        if self.strong_labels is not None and strong.any():
            soft_labels[strong] = self.strong_labels
        return Rows(source.astype(np.int32), place, soft_labels, plan.weights)

    @property
    def must_be_kept(self) -> bool:
        """Whether strong versions cannot be drawn again, because the network has changed."""
        return is_wu(self._method) and self._method.strong_every > 1

    def kept(self) -> dict[str, np.ndarray]:
        """Returns the strong versions that a checkpoint needs, if they `must_be_kept`."""
        if not self.must_be_kept or self._strong_drawn is None:
            return {}
        epoch, places = self._strong_drawn
        count = len(places) * versions_per_example(self._method)
        assert self._sources.strong is not None  # drawn
        assert self.strong_labels is not None
        return {
            "strong_epoch": np.asarray(epoch),
            "strong_places": places,
            "strong_images": np.asarray(self._sources.strong)[:count],
            "strong_labels": self.strong_labels,
        }

    def restore(self, kept: dict[str, np.ndarray]) -> None:
        """Restores the versions that `kept` returned."""
        if "strong_epoch" not in kept:
            return
        places = kept["strong_places"]
        self._keep_strong(int(kept["strong_epoch"]), places, kept["strong_images"])
        self.strong_labels = kept["strong_labels"]

    def _weak_places(self, plan: EpochPlan) -> np.ndarray:
        """The examples with a weak version: all if the full data is trained on."""
        if self._method.train_on == "full":
            return np.arange(len(self._dataset))
        return plan.positions[plan.versions == WEAK]

    def _draw_strong(self, epoch: int, places: np.ndarray, variables: Any) -> None:
        assert self._strong is not None  # the plan has strong versions
        draws = [
            self._run(self._strong, self._keys.strong, epoch, draw, places, variables)
            for draw in range(self._method.draws)
        ]
        if is_wu(self._method):
            # [places, keep, ...] of each draw: all places of the first version, then of the next
            images, labels = (
                np.concatenate([np.concatenate(np.moveaxis(d[part], 1, 0)) for d in draws])
                for part in range(2)
            )
            self.strong_labels = labels
        else:
            images = np.concatenate(draws)
        self._keep_strong(epoch, places, images)

    def _keep_strong(self, epoch: int, places: np.ndarray, images: np.ndarray) -> None:
        most = self._max_selected * versions_per_example(self._method)
        self._sources = self._sources._replace(strong=_on_device(images, most))
        self._strong_drawn = epoch, places

    def _run(
        self,
        program: StreamedProgram,
        key: KeyArray,
        epoch: int,
        draw: int,
        places: np.ndarray,
        variables: Any = None,
    ) -> Any:
        """Runs a program on the examples at these places."""
        count = len(places)
        filled = min(_LEAST_IMAGES, max(self._max_selected, count))
        padded = np.resize(places, max(filled, count))
        drawn = (key, np.int32(epoch), np.int32(draw))
        chosen_by: tuple[Any, ...] = ()
        others: tuple[Array, ...] = (self._dataset.indices[padded],)
        if program is self._strong and is_wu(self._method):
            others += (self._dataset.labels[padded],)
            chosen_by = (variables, self._pixels, self._dataset.labels)
        results = program(
            (drawn, *chosen_by),
            take_examples(self._dataset.images, padded),
            *others,
            progress=self._progress,
            stage="augmentation",
        )
        return jax.tree.map(lambda array: array[:count], results)


def augmentation_for(dataset: Dataset, spec: str) -> Any:
    """Builds an augmentation; raises InputError unless it is "identity" or for images."""
    augmentation = build_augmentation(spec)
    if not dataset.are_images and spec != "identity":
        shapes = jax.tree.map(lambda leaf: ("n", *leaf.shape), dataset.example)
        raise InputError(
            f"augmentation {spec!r} is for images [n, h, w, c], but {dataset.name} holds "
            f"{str(shapes).replace(chr(39), '')}: only 'identity' fits"
        )
    return augmentation


def as_pixels(images: Array) -> np.ndarray:
    """Converts images to uint8; floats in [0, 1] are rounded."""
    images = np.asarray(images)
    if images.dtype == np.uint8:
        return images
    return np.clip(np.round(images * 255), 0, 255).astype(np.uint8)


def _augmented(augmentation, variables, images, indices):
    ((key, epoch, draw),) = variables
    return augment_batch(augmentation, key, unit_range(images), indices, epoch=epoch, draw=draw)


def _chosen_by_loss(
    network: Network,
    augmentation: WuAugmentation,
    dataset: Dataset,
    method: MethodConfig,
    variables: Any,
    images: Array,
    indices: Int[Array, " n"],
    labels: Int[Array, " n"],
) -> tuple[Array, Array]:
    """Candidates of Wu et al. selected by the network's loss, and their soft labels."""
    (key, epoch, draw), (params, state), train_pixels, train_labels = variables

    def losses(candidates, soft_labels):
        inputs = normalize(candidates, dataset.mean, dataset.std)
        logits = network.apply(params, state, inputs, False, None)[0]
        return per_example_loss("cross-entropy")(logits, soft_labels)

    pixels = images if images.dtype == jnp.uint8 else jnp.round(images * 255).astype(jnp.uint8)
    return augment_by_loss(
        augmentation,
        key,
        pixels,
        labels,
        indices,
        per_example_loss=losses,
        train_images=train_pixels,
        train_labels=train_labels,
        num_classes=dataset.num_classes,
        num_candidates=method.candidates,
        keep=method.keep,
        selection=method.candidate_selection,
        epoch=epoch,
        draw=draw,
    )


def _same(drawn: tuple[int, np.ndarray] | None, due: tuple[int, np.ndarray]) -> bool:
    return drawn is not None and drawn[0] == due[0] and np.array_equal(drawn[1], due[1])


def _on_device(images: np.ndarray, capacity: int) -> jax.Array:
    """The images, padded to a fixed capacity, so that no step is compiled again."""
    store = np.zeros((max(capacity, len(images)), *images.shape[1:]), images.dtype)
    store[: len(images)] = images
    return jnp.asarray(store)
