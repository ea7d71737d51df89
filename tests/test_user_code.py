"""Errors of a user's own functions: their traceback, one line of ours, exit status 2."""

import inspect
import sys
import traceback

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from analysis.__main__ import COMMANDS
from ntk_aug import augment, imports, models
from ntk_aug.coreset.selectors import find_selector
from ntk_aug.errors import InputError, UserCodeError
from ntk_aug.programs import run_program

OWN = '''
import flax.linen as nn
import jax.numpy as jnp
import numpy as np

from ntk_aug import augment

class Net(nn.Module):
    num_classes: int

    @nn.compact
    def __call__(self, images):
        x = nn.Dense(self.num_classes)(images.reshape(len(images), -1))
        return self.head(x)

    def head(self, x):
        return x @ jnp.ones((7, 7))

class Tuple(nn.Module):
    num_classes: int

    @nn.compact
    def __call__(self, images):
        x = nn.Dense(self.num_classes)(images.reshape(len(images), -1))
        return x, x

def network(num_classes):
    return Net(num_classes)

def refuses(num_classes):
    raise KeyError("no_such_weight")

def takes_nothing():
    return Net(3)

def with_numpy(key, image):
    return np.sqrt(image)

def reads_badly(key, examples, count):
    """Its docstring."""
    return examples.logits[:, 99]

def asks_too_much(key, image):
    return augment.random_rotate(key, image, 30, interpolation="cubic")

policy = augment.PolicyAugmentation(augment.POLICIES["trivialaugment"])
'''


@pytest.fixture(autouse=True)
def own(tmp_path, monkeypatch):
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path / "jax"))
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own_parts.py").write_text(OWN)
    (tmp_path / "own_broken.py").write_text("import numpy\nnumber = 1 / 0\n")
    (tmp_path / "own_wrong.py").write_text("def f(:\n")
    yield
    for name in ("own_parts", "own_broken", "own_wrong"):
        sys.modules.pop(name, None)


SMALL = ("--epochs", "0", "--width", "4", "--out", "out")


@pytest.mark.parametrize(
    ("arguments", "line", "frames"),
    [
        (
            ("spectrum", "--model", "own_parts:network"),
            "error: own_parts:network raised TypeError: dot_general requires contracting",
            ["__call__", "head"],
        ),
        (
            ("select", "--model", "own_parts:refuses"),
            "error: own_parts:refuses raised KeyError: 'no_such_weight'",
            ["refuses"],
        ),
        (
            ("select", "--model", "own_parts:takes_nothing"),
            "takes_nothing() got an unexpected keyword argument 'num_classes'",
            [],
        ),
        (
            ("select", "--model", "own_parts:Tuple"),
            "error: the network returns a tuple of 2, expected logits [n, C]",
            [],
        ),
        (
            ("spectrum", *SMALL, "--augment", "own_parts:with_numpy"),
            "error: augmentation 'own_parts:with_numpy': the augmentation cannot be traced (Tracer",
            ["with_numpy"],
        ),
        (
            ("augment", "--augment", "own_parts:with_numpy"),
            "error: own_parts:with_numpy raised TracerArrayConversionError: ",
            ["with_numpy"],
        ),
        (
            ("select", *SMALL, "--selector", "own_parts:reads_badly"),
            "error: own_parts:reads_badly raised IndexError: index 99 is out of bounds",
            ["reads_badly"],
        ),
        (
            ("select", "--model", "own_broken:f"),
            "error: cannot import 'own_broken' of 'own_broken:f': ZeroDivisionError: division by",
            ["<module>"],
        ),
        (
            ("select", "--model", "own_wrong:f"),
            "error: cannot import 'own_wrong' of 'own_wrong:f': SyntaxError: invalid syntax",
            None,
        ),
        (("select", "--model", "own_absent:f"), "ModuleNotFoundError: No module named", []),
        (("augment", "--augment", "own_parts:asks_too_much"), "unknown interpolation 'cubic'", []),
    ],
)
def test_a_users_error_is_their_traceback_and_one_line(arguments, line, frames, capsys):
    assert run_program("analysis", "", COMMANDS, arguments=list(arguments)) == 2
    told = capsys.readouterr().err.splitlines()
    assert line in told[-1]
    assert len([part for part in told if part.startswith("error: ")]) == 1
    if frames == []:
        assert len(told) == 1
        return
    assert told[0] == "Traceback (most recent call last):"
    for ours in ("/ntk_aug/", "/analysis/"):  # JAX may name such a line in its own words
        assert not [part for part in told if part.startswith("  File ") and ours in part]
    if frames is None:  # of what cannot be read there is a line, and no frame
        assert "def f(:" in "\n".join(told)
        return
    theirs = [part.split()[-1] for part in told if "own_" in part and part.startswith("  File ")]
    assert theirs[-len(frames) :] == frames
    assert "own_" in told[1]  # it begins with the user's own line


def test_in_a_program_the_users_error_is_the_cause():
    with pytest.raises(UserCodeError, match="own_parts:refuses raised KeyError") as caught:
        models.build_network("own_parts:refuses", 3)
    assert isinstance(caught.value.__cause__, KeyError)
    assert "\n" not in str(caught.value)
    network = models.build_network("own_parts:network", 3)
    with pytest.raises(UserCodeError, match="own_parts:network raised TypeError"):
        network.init(jax.random.key(0), jnp.zeros((1, 4, 4, 1)))


def test_a_guarded_function_is_otherwise_itself():
    select = find_selector("own_parts:reads_badly").select
    assert list(inspect.signature(select).parameters) == ["key", "examples", "count"]
    assert select.__doc__ == "Its docstring."
    policy = augment.build_augmentation("own_parts:policy")
    assert isinstance(policy, augment.PolicyAugmentation)
    image = np.zeros((2, 2, 1), np.float32)
    with pytest.raises(InputError, match="unknown interpolation") as caught:
        augment.build_augmentation("own_parts:asks_too_much")(jax.random.key(0), image)
    assert not isinstance(caught.value, UserCodeError)  # says what it is in one line itself


def test_an_interrupt_is_no_error_of_the_users():
    def interrupted():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        imports.guarded("own:f", interrupted)()


def test_lines_of_this_project_are_left_out_wherever_they_stand():
    def calls_us():
        models.build_network("mlp", 3, width=3).init(None, None)

    with pytest.raises(UserCodeError) as caught:
        imports.guarded("own:f", calls_us)()
    whole = traceback.format_exception(caught.value.__cause__)
    assert any("/ntk_aug/models/" in line for line in whole)
    assert "calls_us" in caught.value.user_traceback
    assert "/ntk_aug/" not in caught.value.user_traceback


def test_the_working_directory_comes_first(tmp_path, monkeypatch):
    for folder, value in (("here", 1), ("installed", 2)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "own_twice.py").write_text(f"def f():\n    return {value}\n")
    monkeypatch.syspath_prepend(tmp_path / "installed")
    monkeypatch.chdir(tmp_path / "here")
    assert imports.import_function("own_twice:f")() == 1
