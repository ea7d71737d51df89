import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from scipy import special

from ntk_aug import coreset
from ntk_aug.errors import InputError

N, C = 12, 3
RNG = np.random.default_rng(0)
LABELS = np.arange(N) % C
LOGITS = RNG.standard_normal((N, C)).astype(np.float32)
GRADIENTS = RNG.standard_normal((N, 5))
SOFT = RNG.dirichlet(np.ones(C), N)
PART = np.array([7, 2, 2, 11])


@pytest.fixture(scope="module")
def examples():
    return coreset.Examples.from_arrays(
        LABELS, C, gradients=GRADIENTS, logits=LOGITS, gradient_norms=np.arange(float(N))
    )


@pytest.mark.parametrize("soft", [True, False])
@pytest.mark.parametrize("loss", ["cross-entropy", "squared"])
def test_losses_and_residuals_are_those_of_the_logits_in_float64(loss, soft):
    examples = coreset.Examples.from_arrays(
        LABELS, C, logits=LOGITS, soft_labels=SOFT if soft else None, loss=loss
    )
    f, y = LOGITS.astype(np.float64), SOFT if soft else np.eye(C)[LABELS]
    if loss == "squared":
        losses, residuals = np.sum((f - y) ** 2, axis=1) / 2, f - y
    else:
        losses = -np.sum(y * special.log_softmax(f, axis=1), axis=1)
        residuals = special.softmax(f, axis=1) - y
    np.testing.assert_allclose(examples.losses, losses, rtol=1e-13)
    np.testing.assert_allclose(examples.residuals, residuals, rtol=1e-13, atol=1e-15)
    assert examples.losses.dtype == examples.residuals.dtype == np.float64


def test_a_part_has_what_the_whole_has_of_its_examples(examples):
    part = examples.take(PART)
    assert len(part) == 4
    assert part.num_classes == C
    for name in ("labels", "logits", "losses", "residuals", "gradient_norms"):
        np.testing.assert_array_equal(getattr(part, name), getattr(examples, name)[PART])
    np.testing.assert_array_equal(part.gradients.outer, GRADIENTS[PART])
    np.testing.assert_array_equal(part.take(np.array([3, 0])).labels, LABELS[[11, 7]])
    assert part.labels.dtype == np.int32


def test_parts_that_ask_at_once_compute_the_whole_once():
    calls, started = [], threading.Barrier(8)

    def logits(examples):
        calls.append(len(examples))
        time.sleep(0.05)
        return LOGITS

    examples = coreset.Examples(LABELS, C, {"logits": logits})

    def of_part(number):
        started.wait()
        return examples.take(np.array([number])).take(np.array([0])).logits

    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(of_part, range(8)))
    np.testing.assert_array_equal(np.concatenate(found), LOGITS[:8])
    assert calls == [N]


def test_what_is_computed_is_kept(examples):
    assert examples.residuals is examples.residuals
    part = examples.take(PART)
    assert part.gradients is part.gradients


def test_a_computation_that_failed_is_tried_again():
    outcomes = [InputError("logits hold NaN"), LOGITS]

    def logits(examples):
        outcome = outcomes.pop(0)
        if isinstance(outcome, InputError):
            raise outcome
        return outcome

    examples = coreset.Examples(LABELS, C, {"logits": logits})
    with pytest.raises(InputError, match="hold NaN"):
        _ = examples.logits
    np.testing.assert_array_equal(examples.logits, LOGITS)


def test_what_was_not_given_is_named():
    examples = coreset.Examples.from_arrays(LABELS, C, gradients=GRADIENTS)
    with pytest.raises(InputError, match="no logits, which are asked for; there are gradients"):
        _ = examples.take(PART).logits
    with pytest.raises(InputError, match="there are nothing but labels"):
        _ = coreset.Examples.from_arrays(LABELS, C).gradients


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"gradients": GRADIENTS[1:]}, r"gradients.* has shape \(11,\), expected \(12,\)"),
        ({"gradients": GRADIENTS * np.nan}, "gradients hold NaN or infinity in 12 of 12"),
        ({"logits": LOGITS[:, :2]}, r"logits has shape \(12, 2\), expected \(12, 3\)"),
        ({"logits": LOGITS * np.inf}, "logits hold NaN or infinity"),
        ({"logits": LOGITS, "loss": "hinge"}, "unknown loss 'hinge'"),
        ({"logits": LOGITS, "soft_labels": 2 * SOFT}, "soft labels of example 0 sum to 2"),
        ({"gradient_norms": np.ones(3)}, r"gradient norms has shape \(3,\), expected \(12,\)"),
        ({"gradient_norms": -np.ones(N)}, "least gradient norm is -1.0, expected at least 0"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(arrays, message):
    with pytest.raises(InputError, match=message):
        coreset.Examples.from_arrays(LABELS, C, **arrays)


def test_labels_are_checked():
    with pytest.raises(InputError, match=r"label 2 of image 2 is outside 0 .. 1"):
        coreset.Examples.from_arrays(LABELS, 2)
    with pytest.raises(InputError, match="there are no examples"):
        coreset.Examples.from_arrays(LABELS[:0], C)
