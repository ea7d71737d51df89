"""Settings of a training run: everything that its result depends on."""

from dataclasses import dataclass

from ntk_aug import coreset
from ntk_aug.augment import build_augmentation
from ntk_aug.augment.batches.candidates import SELECTIONS
from ntk_aug.checks import check_at_least, check_choice
from ntk_aug.coreset.budgets import ALLOCATIONS
from ntk_aug.coreset.selectors import find_selector
from ntk_aug.errors import InputError

SCHEDULES = ("step", "cosine", "linear")
PRECISIONS = ("float32", "bfloat16")
TRAINED_PARTS = ("full", "subset")
PLACEMENTS = ("append", "in-place", "in-place-twice")
WEIGHTINGS = ("published", "algorithm1")
NO_AUGMENTATION = "none"
GIVEN_SELECTION = "given"


@dataclass(frozen=True)
class TrainingConfig:
    """SGD with momentum on the cross-entropy loss.

    Attributes:
      epochs: passes over the training images.
      batch_size: images per step; the last step of an epoch takes the rest.
      learning_rate: peak learning rate, at the start or after the warm-up.
      schedule: "step" multiplies the learning rate by decay_factor at decay_epochs, "cosine" and
        "linear" lower it to 0 until the last epoch's end.
      decay_epochs: epochs (from 0) at whose start the "step" schedule lowers the learning rate.
      decay_factor: factor of the "step" schedule at each decay epoch.
      warmup_epochs: epochs over which the learning rate rises linearly from 0.
      momentum: momentum coefficient, as in torch.optim.SGD.
      nesterov: whether to use Nesterov momentum.
      weight_decay: added to the gradient as weight_decay * parameter, before momentum.
      label_smoothing: share of each target that is spread evenly over all classes.
      clip_norm: largest norm of a gradient; a longer one is scaled down. None: no limit.
      precision: type of forward and backward pass; parameters, batch statistics and loss are always
        float32.
      weak: augmentation of the training images, a spec for `augment.build_augmentation`.
      weak_every: epochs between redraws of the weak augmentation.
      eval_every: epochs between evaluations on the test set; the last epoch is always evaluated.
      seed: seed of initialisation, order, augmentation, selection and dropout, each with its own
        key.
    """

    epochs: int = 15
    batch_size: int = 128
    learning_rate: float = 0.1
    schedule: str = "step"
    decay_epochs: tuple[int, ...] = ()
    decay_factor: float = 0.1
    warmup_epochs: int = 0
    momentum: float = 0.9
    nesterov: bool = False
    weight_decay: float = 0.0
    label_smoothing: float = 0.0
    clip_norm: float | None = None
    precision: str = "float32"
    weak: str = "identity"
    weak_every: int = 1
    eval_every: int = 1
    seed: int = 0

    def __post_init__(self):
        check_at_least(self.epochs, 0, "epochs")
        check_at_least(self.batch_size, 1, "batch_size")
        check_at_least(self.learning_rate, 0, "learning_rate")
        check_choice(self.schedule, SCHEDULES, "schedule")
        for epoch in self.decay_epochs:
            check_at_least(epoch, 0, "an epoch of decay_epochs")
        if self.decay_epochs and self.schedule != "step":
            raise InputError(
                f"decay_epochs are {self.decay_epochs} with schedule {self.schedule!r}, expected "
                "none: only schedule 'step' uses them"
            )
        check_at_least(self.decay_factor, 0, "decay_factor")
        check_at_least(self.warmup_epochs, 0, "warmup_epochs")
        if self.warmup_epochs > self.epochs:
            raise InputError(
                f"warmup_epochs is {self.warmup_epochs}, expected at most epochs {self.epochs}"
            )
        if not 0 <= self.momentum < 1:
            raise InputError(f"momentum is {self.momentum}, expected 0 <= momentum < 1")
        check_at_least(self.weight_decay, 0, "weight_decay")
        if not 0 <= self.label_smoothing < 1:
            raise InputError(
                f"label_smoothing is {self.label_smoothing}, expected at least 0 and below 1"
            )
        if self.clip_norm is not None and not self.clip_norm > 0:
            raise InputError(f"clip_norm is {self.clip_norm}, expected more than 0")
        check_choice(self.precision, PRECISIONS, "precision")
        build_augmentation(self.weak)
        check_at_least(self.weak_every, 1, "weak_every")
        check_at_least(self.eval_every, 1, "eval_every")


@dataclass(frozen=True)
class MethodConfig:
    """Algorithm 1: selection of examples, their strong augmentation, and their weights.

    Attributes:
      selector: a key of `coreset.SELECTORS`, or a user's `module:function`; "given" uses the subset
        passed to `train`, "none" is plain training.
      fraction: budget as a share of the training examples; excludes `count`.
      count: budget in examples.
      allocation: allocation of the budget to classes, "proportional" or "equal".
      per_class: whether to select within each class; None: the selector's default.
      tolerance: upper bound of the selector's error estimate, besides or instead of a budget.
      proxy: gradient proxy, a key of `coreset.PROXIES`.
      dimension: dimension of the random projection of proxy "network-projected".
      reselect_every: epochs between selections; R in the paper.
      train_on: "full" data, or only the selected "subset".
      augment: strong augmentation of the selected examples, a spec for `build_augmentation`;
        "wu-..." is the whole method of Wu et al., "none" is no strong augmentation.
      draws: strong draws per selected example; r in the paper.
      strong_every: epochs between redraws of the strong augmentation.
      placement: "append" adds strong draws to the training examples, "in-place" replaces the
        selected examples by them, "in-place-twice" does so with twice the budget.
      weights: "published" uses the selector's weights, scaled to mean 1, on a trained subset, and 1
        elsewhere; "algorithm1" uses the selector's weights, divided by the number of strong draws.
      candidates: number of candidates of Wu et al. per strong draw.
      keep: number of these candidates that are trained on.
      candidate_selection: selection of candidates, "proportional" to the loss or "largest" loss.
      also_record: selectors whose selection from the same network and budget is recorded as well.
    """

    selector: str = "none"
    fraction: float | None = None
    count: int | None = None
    allocation: str = "proportional"
    per_class: bool | None = None
    tolerance: float | None = None
    proxy: str = "last-layer-logit"
    dimension: int | None = None
    reselect_every: int = 1
    train_on: str = "full"
    augment: str = NO_AUGMENTATION
    draws: int = 1
    strong_every: int = 1
    placement: str = "append"
    weights: str = "published"
    candidates: int = 4
    keep: int = 1
    candidate_selection: str = "proportional"
    also_record: tuple[str, ...] = ()

    def __post_init__(self):
        given = self.selector == GIVEN_SELECTION
        for selector in (*(() if given else (self.selector,)), *self.also_record):
            find_selector(selector)
        if self.fraction is not None and self.count is not None:
            raise InputError(
                f"fraction is {self.fraction} and count is {self.count}, expected at most one"
            )
        check_choice(self.allocation, ALLOCATIONS, "allocation of a budget")
        check_choice(self.proxy, coreset.PROXIES, "proxy")
        if (self.dimension is None) == (self.proxy == "network-projected"):
            raise InputError(
                f"dimension is {self.dimension} with proxy {self.proxy!r}: the dimension is for "
                "proxy 'network-projected', which needs one"
            )
        for name in ("reselect_every", "draws", "strong_every", "candidates", "keep"):
            check_at_least(getattr(self, name), 1, name)
        check_choice(self.train_on, TRAINED_PARTS, "train_on")
        check_choice(self.placement, PLACEMENTS, "placement")
        check_choice(self.weights, WEIGHTINGS, "weights")
        check_choice(self.candidate_selection, SELECTIONS, "candidate_selection")
        if self.candidate_selection == "largest" and self.keep > self.candidates:
            raise InputError(
                f"keep is {self.keep}, expected at most the number of candidates {self.candidates}"
            )
        if self.augments:
            build_augmentation(self.augment)
        elif self.placement != "append":
            raise InputError(
                f"placement is {self.placement!r} with augment 'none', expected a strong "
                "augmentation to replace the selected examples"
            )
        if self.selector == "none" and (self.augments or self.train_on == "subset"):
            what = f"augment {self.augment!r}" if self.augments else "train_on 'subset'"
            raise InputError(
                f"{what} needs selected examples, but selector is 'none': choose another, such as "
                "'all', 'random' or 'coreset'"
            )

    @property
    def augments(self) -> bool:
        """Whether the selected examples get strong augmentation."""
        return self.augment != NO_AUGMENTATION
