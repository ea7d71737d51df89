"""`python -m experiments run`: trains one preset, or a model and data of one's own."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Annotated, Any, NamedTuple

import tyro

from experiments.dry_run import print_plan
from experiments.inputs import data_line, load_splits, read_selection
from experiments.overrides import ExperimentOverrides, MethodOverrides, TrainingOverrides
from experiments.presets import find_preset
from experiments.settings import PARTS, Experiment, flat_settings, with_overrides
from ntk_aug import coreset, data, models, training
from ntk_aug.errors import InputError
from ntk_aug.models.registry import DEFAULT_LEARNING_RATE
from ntk_aug.options import given_overrides, setting_names
from ntk_aug.progress import RunProgress, run_progress
from ntk_aug.records import to_json
from ntk_aug.training.history import EpochRecord
from ntk_aug.training.pretrained import PretrainedNetwork


@dataclass(frozen=True)
class RunOptions:
    """Trains a network and records the run: settings, metrics, selections, checkpoints.

    With PRESET, options replace the preset's settings. Without it, give --images or --data,
    --model, and the options that you need. The same command again finds the finished run, or
    resumes from its last checkpoint.
    """

    preset: Annotated[str | None, tyro.conf.Positional, tyro.conf.arg(metavar="[PRESET]")] = None
    """Name of a preset; `list` shows them."""
    images: str | None = None
    """Your own examples in place of --data: an npz file with images [n, h, w(, c)] and labels [n],
    or x and y. Without test_images and test_labels every fifth image is the test split."""
    selection: str | None = None
    """Train on this weighted subset: an npz file with indices (places in the training split) and
    weights, such as `python -m analysis select` writes."""
    data_dir: str | None = None
    """Where prepared data sets lie; default: the environment variable TFDS_DATA_DIR."""
    out: str | None = None
    """Folder of the run; default: runs/PRESET/SEED."""
    keep_epochs: tuple[int, ...] = ()
    """Keep checkpoints after these epochs, besides the last (0: before the first)."""
    dry_run: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Say what the settings come to, how much memory and time it takes, and stop."""
    experiment: Annotated[ExperimentOverrides, tyro.conf.OmitArgPrefixes] = field(
        default_factory=ExperimentOverrides
    )
    training: Annotated[TrainingOverrides, tyro.conf.OmitArgPrefixes] = field(
        default_factory=TrainingOverrides
    )
    method: Annotated[MethodOverrides, tyro.conf.OmitArgPrefixes] = field(
        default_factory=MethodOverrides
    )


class ResolvedRun(NamedTuple):
    """A run with all of its settings.

    Attributes:
      preset: name of the preset, or None.
      experiment: all settings.
      overrides: the settings that differ from the preset's.
    """

    preset: str | None
    experiment: Experiment
    overrides: dict[str, Any]

    @property
    def description(self) -> dict[str, Any]:
        """The part of config.json besides training, method, model and data."""
        own = {name: getattr(self.experiment, name) for name in setting_names(Experiment)}
        return json.loads(
            to_json({"preset": self.preset, "overrides": self.overrides, "experiment": own})
        )

    @property
    def recorded(self) -> dict[str, Any]:
        """All settings as config.json holds them."""
        parts = {name: asdict(getattr(self.experiment, name)) for name in PARTS}
        return {**self.description, **json.loads(to_json(parts))}


def run(options: RunOptions) -> None:
    """Runs the command `run`."""
    resolved = resolve_options(options)
    experiment = resolved.experiment
    splits = load_splits(experiment, images=options.images, data_dir=options.data_dir)
    subset = read_selection(options.selection, splits[0]) if options.selection else None
    print(data_line(experiment, *splits))
    if options.dry_run:
        print_plan(experiment, *splits, selection=subset)
        return
    out = options.out or default_folder(resolved, splits[0])
    network = train_resolved(
        resolved, splits, out, selection=subset, keep_epochs=options.keep_epochs
    )
    print_result(network)


def resolve_options(options: RunOptions) -> ResolvedRun:
    """The settings of a run: those of the preset, or a model's defaults, with the given options."""
    overrides = given_overrides(options.experiment, options.training, options.method)
    if options.images and "data" in overrides:
        raise InputError("--images and --data exclude each other")
    if options.selection:
        overrides = _with_given_selection(overrides)
    if options.preset is not None:
        return resolve(options.preset, find_preset(options.preset).experiment, overrides)
    return resolve(None, _experiment_of_model(overrides.get("model", "mlp")), overrides)


def resolve(
    preset: str | None, experiment: Experiment, overrides: Mapping[str, Any]
) -> ResolvedRun:
    """An experiment with overrides; those that change nothing are dropped."""
    changed = with_overrides(experiment, overrides)
    before, after = flat_settings(experiment), flat_settings(changed)
    return ResolvedRun(
        preset, changed, {name: after[name] for name in after if after[name] != before[name]}
    )


def _with_given_selection(overrides: dict[str, Any]) -> dict[str, Any]:
    if overrides.get("selector", "given") != "given":
        raise InputError(
            f"--selection gives the subset and --selector is {overrides['selector']!r}, expected "
            "one of the two"
        )
    unless_given = {"train_on": "subset", "fraction": None, "count": None}
    return {**unless_given, **overrides, "selector": "given"}


def _experiment_of_model(model: str) -> Experiment:
    entry = models.MODELS.get(model)
    rate = entry.learning_rate if entry else DEFAULT_LEARNING_RATE
    return Experiment(training=training.TrainingConfig(learning_rate=rate))


def default_folder(resolved: ResolvedRun, train_set: data.Dataset, root: str = "runs") -> str:
    """The default folder of a run: ROOT/PRESET/SEED, or by data and model."""
    name = resolved.preset or f"{train_set.name}-{resolved.experiment.model}"
    safe = name.replace("/", "-").replace(":", "-")
    return f"{root}/{safe}/{resolved.experiment.training.seed}"


def train_resolved(
    resolved: ResolvedRun,
    splits: tuple[data.Dataset, data.Dataset],
    out: str,
    *,
    selection: coreset.Subset | None = None,
    keep_epochs: tuple[int, ...] = (),
    prefix: str = "",
) -> PretrainedNetwork:
    """Trains, resumes, or finds the finished run; shows progress on standard error.

    Args:
      resolved: all settings.
      splits: training and test split.
      out: folder of the run.
      selection: for selector "given".
      keep_epochs: epochs after which a checkpoint is kept, besides the last.
      prefix: begins each line of progress.
    """
    experiment = resolved.experiment
    with run_progress(prefix=prefix) as progress:
        teller = EpochTeller(progress, experiment.training.epochs)
        return training.train_named_model(
            experiment.model,
            splits[0],
            experiment.training,
            options=experiment.options,
            method=experiment.method,
            test_set=splits[1],
            selection=selection,
            description=resolved.description,
            folder=out,
            keep_epochs=keep_epochs,
            progress=progress,
            on_epoch=teller,
        )


class EpochTeller:
    """Shows each epoch's loss, accuracy and pace in the progress of a run."""

    def __init__(self, progress: RunProgress, epochs: int):
        """Starts with no epoch.

        Args:
          progress: of the run.
          epochs: in all.
        """
        self._progress, self._epochs = progress, epochs
        self._examples: int | None = None
        self._accuracy = ""

    def __call__(self, record: EpochRecord) -> None:
        """Shows one epoch; the test accuracy is that of the last evaluation."""
        text = f"epoch {record.epoch}/{self._epochs}, loss {record.train_loss:.3f}"
        if record.test_accuracy is not None:
            self._accuracy = f", test accuracy {100 * record.test_accuracy:.1f} %"
        text += self._accuracy or f", training accuracy {100 * record.train_accuracy:.1f} %"
        # How many images a resumed run's first epoch took, its record does not say.
        if record.epoch == 1:
            self._examples = 0
        if self._examples is not None and record.seconds_training > 0:
            pace = (record.examples - self._examples) / record.seconds_training
            text += f", {pace:,.0f} images/s"
        self._examples = record.examples
        self._progress.tell(text)


def print_result(network: PretrainedNetwork) -> None:
    """Prints the last and the best evaluation, and the folder of the run."""
    result = network.run.result()
    last = (result or {}).get("last")
    if result and last:
        best = result["best"]
        print(
            f"test     accuracy {100 * last['test_accuracy']:.2f} % after {last['epoch']} epochs "
            f"(best {100 * best['test_accuracy']:.2f} % after {best['epoch']}), "
            f"loss {last['test_loss']:.4f}"
        )
    print(f"run      {network.run.path}")
