"""Networks trained by name: each configuration is trained once and found again later."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax

from ntk_aug import coreset
from ntk_aug.aliases import Progress
from ntk_aug.data import Dataset
from ntk_aug.errors import InputError
from ntk_aug.models import ModelView, Network, build_network
from ntk_aug.records import StrPath, environment, fingerprint
from ntk_aug.training.config import MethodConfig, TrainingConfig
from ntk_aug.training.history import EpochRecord
from ntk_aug.training.initial import initial_state, zero_examples
from ntk_aug.training.loop import train
from ntk_aug.training.resume import restore_train_state
from ntk_aug.training.run_folder import RunFolder, recorded_example, run_configuration


class PretrainedNetwork(NamedTuple):
    """A trained network and its run.

    Attributes:
      view: the network in evaluation mode.
      run: the run's folder, with its configuration.
      history: one record per epoch up to the checkpoint.
    """

    view: ModelView
    run: RunFolder
    history: list[EpochRecord]


def network_fingerprint(network: Network, image_shape: Any) -> str:
    """Returns a sha256 of the network's programs: initialisation, and forward pass in both modes.

    It tells an edited model from another of the same name. `image_shape` is as in `initial_state`.
    """
    images = zero_examples(image_shape, 2)
    key = jax.random.key(0)
    params, state = jax.eval_shape(network.init, key, images)
    lowered = [jax.jit(network.init).lower(key, images)]
    for mode in (False, True):
        forward = jax.jit(lambda p, s, x, k, mode=mode: network.apply(p, s, x, mode, k))
        lowered.append(forward.lower(params, state, images, key))
    return fingerprint([program.as_text() for program in lowered])


def train_named_model(
    model: str,
    train_set: Dataset,
    config: TrainingConfig,
    *,
    options: Mapping[str, Any] | None = None,
    method: MethodConfig | None = None,
    test_set: Dataset | None = None,
    selection: coreset.Subset | None = None,
    description: Mapping[str, Any] | None = None,
    folder: StrPath | None = None,
    cache: StrPath | None = None,
    keep_epochs: Sequence[int] = (),
    progress: Progress | None = None,
    on_epoch: Callable[[EpochRecord], None] | None = None,
) -> PretrainedNetwork:
    """Trains a model by name, or loads it if it has been trained before.

    Args:
      model: a spec for `models.build_network`.
      train_set: training set; its classes are the model's outputs.
      config: settings of the training.
      options: options of the model.
      method: settings of selection and augmentation, see `train`.
      test_set: evaluated in evaluation mode.
      selection: a weighted subset, for selector "given".
      description: further entries of the run's record.
      folder: folder of the run.
      cache: folder of runs, used instead of `folder`; the run's own folder is named by its
        configuration.
      keep_epochs: epochs after which a checkpoint is kept, besides the last.
      progress: called with ("training", steps done, total), see `train`.
      on_epoch: called with the record of each epoch.

    Raises:
      InputError: as `build_network` and `train`, or not exactly one of folder and cache is given.
    """
    if (folder is None) == (cache is None):
        raise InputError("give either a run's folder or a cache of runs")
    options = {name: value for name, value in (options or {}).items() if value is not None}
    network = build_network(model, train_set.num_classes, **options)
    description = {
        **(description or {}),
        "model": {
            "name": model,
            "options": options,
            "fingerprint": network_fingerprint(network, train_set.example),
        },
        "test": None if test_set is None else test_set.fingerprint(),
    }
    if cache is not None:
        digest = fingerprint(run_configuration(description, train_set, config, method))[:16]
        name = f"{model}-{train_set.name}-{digest}".replace(":", "-").replace("/", "-")
        folder = Path(cache) / name
    assert folder is not None  # one of the two is given
    trained = train(
        network,
        train_set,
        config,
        method=method,
        test_set=test_set,
        selection=selection,
        folder=folder,
        description=description,
        keep_epochs=keep_epochs,
        progress=progress,
        on_epoch=on_epoch,
    )
    view = network.view(trained.params, trained.state)
    return PretrainedNetwork(view, RunFolder.read(folder), trained.history)


def load_trained_model(folder: StrPath, *, epoch: int | None = None) -> PretrainedNetwork:
    """Loads a network from the folder of its training run.

    Args:
      folder: a folder written by `train_named_model`.
      epoch: epochs of training; defaults to the last checkpoint.

    Raises:
      InputError: the folder has no run or no whole checkpoint of that epoch, or the model was not
        given by name or has changed since.
    """
    run = RunFolder.read(folder)
    epochs = run.epochs()
    if not epochs:
        raise InputError(
            f"{folder} holds no whole checkpoint: the run was stopped before its first"
        )
    epoch = epochs[-1] if epoch is None else epoch
    if epoch not in epochs:
        raise InputError(f"{folder} has no checkpoint of epoch {epoch}; it has those of {epochs}")
    try:
        model, data = run.config["model"], run.config["data"]
        settings = {**run.config["training"]}
        settings["decay_epochs"] = tuple(settings["decay_epochs"])
        config = TrainingConfig(**settings)
        example = recorded_example(data)
        network = build_network(model["name"], len(data["class_names"]), **model["options"])
    except (KeyError, TypeError) as error:
        raise InputError(
            f"the configuration of {folder} does not fit this version: {error}"
        ) from None
    # Other versions of JAX write the same program differently, so programs are compared only under
    # the versions of the training.
    recorded = run.environment
    same_versions = all(recorded.get(k) == environment()[k] for k in ("jax", "flax"))
    if same_versions and network_fingerprint(network, example) != model["fingerprint"]:
        raise InputError(
            f"model {model['name']!r} is not what {folder} was trained with: its code has changed"
        )
    state = restore_train_state(run, epoch, initial_state(network, example, config))
    return PretrainedNetwork(network.view(state.params, state.state), run, run.history()[:epoch])
