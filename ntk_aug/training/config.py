"""What a training run is: every number that its result depends on."""

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
      batch_size: images per step; the last step of an epoch takes what is left.
      learning_rate: the largest one, at the start or after the warm-up.
      schedule: "step" multiplies it by decay_factor at each of decay_epochs; "cosine" and "linear"
        lower it to 0 at the last epoch's end.
      decay_epochs: epochs (from 0) at whose start the "step" schedule lowers the learning rate.
      decay_factor: of the "step" schedule, once per decay epoch.
      warmup_epochs: epochs over which the learning rate rises linearly from 0.
      momentum: heavy-ball, as in torch.optim.SGD.
      nesterov: Nesterov's momentum in place of the heavy ball.
      weight_decay: added to the gradient as weight_decay * parameter, before momentum.
      label_smoothing: share of each target that is spread evenly over all classes.
      clip_norm: largest norm of a step's gradient; a longer one is scaled down. None: no limit.
      precision: in which forward and backward pass are computed; parameters, batch statistics and
        the loss are float32 in either.
      weak: augmentation of the images that are trained on: a spec for `augment.build_augmentation`.
      weak_every: epochs after which it is drawn anew.
      eval_every: epochs after which the test set is evaluated; so it is after the last.
      seed: of initialisation, order, augmentation, selection and dropout, each with a key of its
        own.
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
                "none: they are for schedule 'step'"
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
    """Algorithm 1: which examples are selected, how they are augmented, and how they weigh.

    Attributes:
      selector: a key of `coreset.SELECTORS`, or a user's `module:function`; "given": the subset
        that `train` is handed. "none": plain training.
      fraction: the budget as a share of the training examples; either this or `count`.
      count: the budget in examples.
      allocation: of the budget among classes, "proportional" or "equal".
      per_class: select from each class, or from all examples at once. None: the selector's own.
      tolerance: bound of the selector's error estimate, in addition to a budget or in its place.
      proxy: what stands for the gradients, a key of `coreset.PROXIES`.
      dimension: of the random projection of proxy "network-projected".
      reselect_every: epochs after which the subset is selected anew; R in the paper.
      train_on: the "full" data, or the selected "subset" alone.
      augment: strong augmentation of the selected examples, a spec for `build_augmentation`;
        "wu-..." is the whole method of Wu et al. "none": the selected are not augmented.
      draws: strong draws of each selected example; r in the paper.
      strong_every: epochs after which the strong draws are drawn anew.
      placement: "append" strong draws to what is trained on; "in-place": they replace the selected
        examples; "in-place-twice": the same, with a budget twice as large.
      weights: "published": on a trained subset the selector's, scaled to mean 1, and 1 on
        everything else; "algorithm1": the selector's, on strong draws divided by their number.
      candidates: of Wu et al., drawn for each strong draw.
      keep: of Wu et al., how many of the candidates are trained on.
      candidate_selection: of Wu et al.: see `augment.select_candidates`.
      also_record: selectors whose choice, from the same network and budget, is recorded as well.
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
                "augmentation to put in place of the selected examples"
            )
        if self.selector == "none" and (self.augments or self.train_on == "subset"):
            what = f"augment {self.augment!r}" if self.augments else "train_on 'subset'"
            raise InputError(
                f"{what} needs selected examples, and selector is 'none': choose another, such as "
                "'all', 'random' or 'coreset'"
            )

    @property
    def augments(self) -> bool:
        """Whether the selected examples get strong augmentation."""
        return self.augment != NO_AUGMENTATION
