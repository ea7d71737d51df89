"""Networks trained by name: trained once for a configuration, found again by all of it."""

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
    """A trained network in evaluation mode, with where it came from.

    Attributes:
      view: of the network.
      run: its folder, with its configuration.
      history: one record per epoch up to the checkpoint.
    """

    view: ModelView
    run: RunFolder
    history: list[EpochRecord]


def network_fingerprint(network: Network, image_shape: Any) -> str:
    """A sha256 of the network's programs: initialisation, and the forward pass in both modes.

    So a model that was edited, but kept its name, is another model.

    Args:
      network: any.
      image_shape: as `initial_state` takes it.
    """
    images = zero_examples(image_shape, 2)
    key = jax.random.key(0)
    params, state = jax.eval_shape(network.init, key, images)
    lowered = [jax.jit(network.init).lower(key, images)]
    lowered += [
        jax.jit(lambda p, s, x, k, mode=mode: network.apply(p, s, x, mode, k)).lower(
            params, state, images, key
        )
        for mode in (False, True)
    ]
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
    """Trains a model by its name, or finds it trained.

    Args:
      model: a spec for `models.build_network`.
      train_set: what it is trained on; gives the number of outputs.
      config: of the run.
      options: of the model.
      method: settings of selection and augmentation, as `train` takes them; so are the next two.
      test_set: evaluated in evaluation mode.
      selection: a weighted subset, for selector "given".
      description: what the run's record says besides.
      folder: of the run; or
      cache: a folder of runs, in which this one has a folder named by its whole configuration.
      keep_epochs: epochs after which a checkpoint is kept, besides the last.
      progress: called with ("training", steps done, in all), and as `train` says.
      on_epoch: called with the record of each epoch.

    Raises:
      InputError: as `build_network` and `train` do; neither folder nor cache given.
    """
    if (folder is None) == (cache is None):
        raise InputError("either a run's folder or a cache of runs is needed")
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
      folder: that `train_named_model` wrote.
      epoch: how many epochs of training; None takes the last checkpoint.

    Raises:
      InputError: no run in the folder, no whole checkpoint of that epoch, a run whose model was
        not given by name, or whose code has changed since.
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
            f"the configuration of {folder} is not one of this version: {error}"
        ) from None
    # Another version of JAX writes the same program in other words, so only under the versions
    # that trained it does another program mean another model.
    recorded = run.environment
    same_versions = all(recorded.get(k) == environment()[k] for k in ("jax", "flax"))
    if same_versions and network_fingerprint(network, example) != model["fingerprint"]:
        raise InputError(
            f"model {model['name']!r} is not what {folder} was trained with: its code has changed"
        )
    state = restore_train_state(run, epoch, initial_state(network, example, config))
    return PretrainedNetwork(network.view(state.params, state.state), run, run.history()[:epoch])
