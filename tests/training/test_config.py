"""Settings that are refused, each in one line that says what was given and what is expected."""

import numpy as np
import pytest

from ntk_aug import training
from ntk_aug.errors import InputError


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"momentum": 1.0}, "momentum"),
        ({"batch_size": 0}, "batch"),
        ({"epochs": -1}, "epochs"),
        ({"learning_rate": np.nan}, "learning_rate is nan"),
        ({"decay_factor": np.nan}, "decay_factor is nan"),
        ({"decay_epochs": (3, -1)}, "decay_epochs is -1"),
        ({"schedule": "cosin"}, r"unknown schedule 'cosin' \(did you mean 'cosine'\?\)"),
        ({"schedule": "cosine", "decay_epochs": (3,)}, "decay_epochs are .* with schedule 'cosine"),
        ({"warmup_epochs": 16}, "warmup_epochs is 16, expected at most epochs 15"),
        ({"label_smoothing": 1.0}, "label_smoothing is 1.0, expected at least 0 and below 1"),
        ({"clip_norm": 0.0}, "clip_norm is 0.0, expected more than 0"),
        ({"precision": "float16"}, "unknown precision 'float16'"),
        ({"weak": "rotatoin"}, "unknown augmentation 'rotatoin'"),
        ({"weak_every": 0}, "weak_every is 0, expected at least 1"),
        ({"eval_every": 0}, "eval_every is 0"),
    ],
)
def test_bad_settings_of_training_are_refused(changed, message):
    with pytest.raises(InputError, match=message):
        training.TrainingConfig(**changed)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"selector": "coresets"}, r"unknown selector 'coresets' \(did you mean 'coreset'\?\)"),
        ({"also_record": ("maxloss",)}, "unknown selector 'maxloss'"),
        ({"fraction": 0.1, "count": 3}, "fraction is 0.1 and count is 3, expected at most one"),
        ({"allocation": "even"}, "unknown allocation of a budget 'even'"),
        ({"proxy": "logits"}, "unknown proxy"),
        ({"dimension": 4}, "dimension is 4 with proxy 'last-layer-logit'"),
        ({"proxy": "network-projected"}, "dimension is None with proxy 'network-projected'"),
        ({"reselect_every": 0}, "reselect_every is 0"),
        ({"draws": 0}, "draws is 0"),
        ({"strong_every": 0}, "strong_every is 0"),
        ({"train_on": "half"}, "unknown train_on 'half'"),
        ({"placement": "inplace"}, "unknown placement 'inplace'"),
        ({"placement": "in-place"}, "placement is 'in-place' with augment 'none'"),
        ({"weights": "gamma"}, "unknown weights 'gamma'"),
        ({"augment": "autoaugmnt-cifar10"}, "unknown augmentation"),
        ({"candidate_selection": "best"}, "unknown candidate_selection 'best'"),
        ({"candidate_selection": "largest", "keep": 5}, "keep is 5, expected at most .* 4"),
        ({"selector": "none", "train_on": "subset"}, "train_on 'subset' needs selected examples"),
        ({"selector": "none", "augment": "rotation"}, "augment 'rotation' needs selected examples"),
    ],
)
def test_bad_settings_of_the_method_are_refused(changed, message):
    with pytest.raises(InputError, match=message):
        training.MethodConfig(**{"selector": "coreset", **changed})
