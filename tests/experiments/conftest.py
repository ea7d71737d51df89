"""The command line, in this process, with a compilation cache of its own."""

import pytest

from experiments.__main__ import COMMANDS
from ntk_aug.programs import run_program


@pytest.fixture(autouse=True, scope="session")
def own_compilation_cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path_factory.mktemp("jax")))
        yield


@pytest.fixture(scope="session")
def experiments():
    """Runs a command and returns its exit status."""
    return lambda *arguments: run_program(
        "experiments", "", COMMANDS, arguments=list(map(str, arguments))
    )


@pytest.fixture(scope="session")
def finished(experiments, tmp_path_factory):
    """The folder of a small run with a coreset, of two epochs and two selections."""
    out = tmp_path_factory.mktemp("finished") / "run"
    options = ("--width", 4, "--epochs", 2, "--reselect-every", 1, "--also-record", "max-loss")
    small = ("--classes", 0, 1, 2, "--augment", "none", "--weak", "identity")
    arguments = ("digits-coreset-10", *options, *small, "--keep-epochs", 1, "--out", out)
    assert experiments("run", *arguments) == 0
    return out
