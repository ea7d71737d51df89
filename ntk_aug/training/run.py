"""The epochs of a training run: select, plan, augment, train, evaluate, record."""

import time
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import numpy as np

from ntk_aug.aliases import Float32, Params
from ntk_aug.checks import check_same_shape
from ntk_aug.data import Dataset, normalize
from ntk_aug.errors import DivergenceError, InputError
from ntk_aug.losses import check_targets
from ntk_aug.training.epoch import EpochProgram, EpochResult
from ntk_aug.training.evaluation import EvaluationProgram
from ntk_aug.training.history import EpochRecord, none_if_nan
from ntk_aug.training.initial import check_outputs, initial_state
from ntk_aug.training.optimizer import build_optimizer, learning_rates
from ntk_aug.training.plan import (
    EpochPlan,
    batch_sizes,
    fold_in,
    is_wu,
    plan_epoch,
    shuffle,
    versions_per_example,
)
from ntk_aug.training.resume import Checkpointer, RunState
from ntk_aug.training.run_folder import RunFolder
from ntk_aug.training.selecting import RecordedSelection, SubsetSelection
from ntk_aug.training.step import Keys, training_step
from ntk_aug.training.versions import ExampleVersions


class TrainedNetwork(NamedTuple):
    """A trained network.

    Attributes:
      params: trained parameters.
      state: other variables, such as batch statistics.
      history: one record per epoch.
    """

    params: Params
    state: Any
    history: list[EpochRecord]


class RunProgram:
    """The compiled programs of one run, and the loop over its epochs."""

    def __init__(
        self, network, train_set, config, method, test_set, soft_labels, selection,
        compiled_epoch, progress,
    ):  # fmt: skip
        self.config, self.method, self._train_set = config, method, train_set
        self._progress = progress
        self._keys = Keys.of_seed(config.seed)
        n, num_classes = len(train_set), train_set.num_classes
        self._selecting = SubsetSelection(
            network, train_set, soft_labels, method, self._keys, given=selection, progress=progress
        )
        most = self._selecting.max_selected
        self._versions = ExampleVersions(
            network,
            train_set,
            _targets(train_set, soft_labels),
            config,
            method,
            max_selected=most,
            progress=progress,
        )
        if soft_labels is not None and is_wu(method):
            raise InputError(
                f"augment is {method.augment!r} and soft labels are given, expected labels: the "
                "method of Wu et al. mixes labels itself"
            )
        preprocess = partial(normalize, mean=train_set.mean, std=train_set.std)
        step = training_step(
            network,
            build_optimizer(config),
            preprocess,
            label_smoothing=config.label_smoothing,
            precision=config.precision,
        )
        trained = n if method.train_on == "full" else most
        max_rows = trained + most * versions_per_example(method)
        self.program = EpochProgram(
            step, config.batch_size, max_rows=max_rows, compiled=compiled_epoch
        )
        self._evaluate = None
        if test_set is not None:
            check_same_shape((test_set.num_classes,), (num_classes,), "the test set, by classes,")
            self._evaluate = EvaluationProgram(
                lambda variables, inputs: network.apply(*variables, inputs, False, None)[0],
                test_set,
            )
        state = initial_state(network, train_set.example, config)
        check_outputs(network, state, train_set)
        self.initial = RunState(state, np.zeros(n, bool), np.zeros(n, bool))

    def train(self, state, record, on_epoch):
        """Trains from a state on; `record` is the folder and its checkpointer, or None."""
        self._versions.restore(state.drawn)
        while state.epoch < self.config.epochs:
            state, selected = self._epoch(state)
            if record is not None:
                self._record(state, selected, *record)
            if on_epoch:
                on_epoch(state.history[-1])
        if self._progress and not self.config.epochs:
            self._progress("training", 0, 0)
        return TrainedNetwork(state.train_state.params, state.train_state.state, state.history)

    def _epoch(self, state: RunState) -> tuple[RunState, RecordedSelection | None]:
        epoch, train_state = state.epoch, state.train_state
        variables = (train_state.params, train_state.state)
        stamps = [time.perf_counter()]
        selected = None
        if self._selecting.is_due(epoch):
            selected = self._selecting(epoch, variables)
            state.subset, state.subset_epoch = selected.subset, selected.epoch
        stamps.append(time.perf_counter())
        n = len(self._train_set)
        plan = plan_epoch(
            self.config, self.method, n, epoch, state.subset, subset_epoch=state.subset_epoch
        )
        sources = jax.block_until_ready(self._versions.draw(plan, variables))
        stamps.append(time.perf_counter())
        steps = batch_sizes(len(plan), self.config.batch_size).steps
        rates = learning_rates(self.config, epoch, steps)
        order = shuffle(self._keys.order, epoch, len(plan))
        result = self.program(
            fold_in(self._keys.dropout, np.int32(epoch)),
            train_state,
            sources,
            self._versions.rows(plan).take(order),
            rates,
            on_step=self._reporter(state, steps),
        )
        self._check_finite(result, state, steps)
        self._reporter(state, steps)(steps)
        stamps.append(time.perf_counter())
        after = (result.state.params, result.state.state)
        due = (epoch + 1) % self.config.eval_every == 0 or epoch + 1 == self.config.epochs
        tested = self._evaluate(after) if self._evaluate and due else None
        stamps.append(time.perf_counter())
        new = self._advanced(state, result, plan, steps, float(rates[-1]), tested, np.diff(stamps))
        return new, selected

    def _advanced(self, state, result, plan: EpochPlan, steps, rate, tested, seconds) -> RunState:
        used, ever_selected = state.used.copy(), state.selected.copy()
        used[plan.positions] = True
        if state.subset is not None:
            ever_selected[state.subset.indices] = True
        before = state.history[-1] if state.history else EpochRecord(0, 0.0, 0.0)
        selection, augmentation, training, evaluation = map(float, seconds)
        record = EpochRecord(
            state.epoch + 1,
            *result.sums.means(),
            **_test_fields(tested),
            learning_rate=rate,
            examples=before.examples + len(plan),
            steps=before.steps + steps,
            distinct_used=int(used.sum()),
            distinct_selected=int(ever_selected.sum()),
            seconds_training=training,
            seconds_selection=selection,
            seconds_augmentation=augmentation,
            seconds_evaluation=evaluation,
        )
        return RunState(
            result.state,
            used,
            ever_selected,
            state.subset,
            state.subset_epoch,
            [*state.history, record],
            self._versions.kept(),
        )

    def _record(self, state, selected, run: RunFolder, checkpointer: Checkpointer) -> None:
        try:
            if selected is not None:
                run.write_selection(selected, self._train_set.indices)
            run.append(state.history[-1])
        except OSError as error:
            raise InputError(
                f"the record of epoch {state.epoch} cannot be written to {run.path}: "
                f"{error.strerror}; start the run again to resume from its last checkpoint"
            ) from error
        checkpointer.save_if_due(state, self.config.epochs)

    def _reporter(self, state: RunState, steps: int) -> Callable[[int], None]:
        done_before = state.history[-1].steps if state.history else 0
        total = done_before + steps * (self.config.epochs - state.epoch)

        def report(done: int) -> None:
            if self._progress:
                self._progress("training", done_before + done, total)

        return report

    def _check_finite(self, result: EpochResult, state: RunState, steps: int) -> None:
        if result.not_finite is None:
            return
        epoch = state.epoch + 1
        step = (state.history[-1].steps if state.history else 0) + result.not_finite + 1
        raise DivergenceError(
            f"the training loss of step {step} (epoch {epoch}, step {result.not_finite + 1} of "
            f"{steps}) is not finite: try a learning rate below {self.config.learning_rate}",
            epoch=epoch,
            step=step,
        )


def _targets(train_set: Dataset, soft_labels: Any) -> Float32[np.ndarray, "n C"]:
    n, num_classes = len(train_set), train_set.num_classes
    if soft_labels is None:
        return np.eye(num_classes, dtype=np.float32)[train_set.labels]
    given = np.asarray(soft_labels)
    check_same_shape(given.shape, (n, num_classes), "an array of soft labels")
    return np.asarray(check_targets(given, n, num_classes, "cross-entropy"), np.float32)


def _test_fields(tested: Any) -> dict[str, Any]:
    if tested is None:
        return {}
    return {
        "test_loss": tested.loss,
        "test_accuracy": tested.accuracy,
        "test_balanced_accuracy": tested.balanced_accuracy,
        "test_class_accuracy": tuple(map(none_if_nan, tested.class_accuracy)),
    }
