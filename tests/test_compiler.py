"""The compiler computes right numbers; releases that do not are named."""

import configparser
import os
import subprocess
import sys
import textwrap
import warnings
from importlib import metadata
from pathlib import Path

import pytest
from packaging.specifiers import SpecifierSet

from ntk_aug import compiler
from ntk_aug.compiler import SWITCH_OFF, WRONG_RELEASES, warn_of_wrong_compiler

ROOT = Path(__file__).parents[1]

# jax-ml/jax#39103: the last of many rows comes out wrong, from these sizes on; #39257: it crashes.
PROGRAMS = """
    import jax
    import jax.numpy as jnp

    def logs(obs, A):
        summed = jnp.sum(obs[..., None, None, None, None, None] * A, axis=2)
        return jnp.log(jnp.maximum(summed, 2.2e-16))

    obs, A = jnp.ones((10, 4, 6)), jnp.ones((10, 4, 6, 9, 9, 9, 9, 9))  # in float32 it crashes
    print("broadcast-reduce", bool(jnp.allclose(jax.jit(logs)(obs, A), jnp.log(6.0))), flush=True)

    jax.config.update("jax_enable_x64", True)

    def sums(x):
        return jax.vmap(lambda row: jnp.sum((jnp.eye(3, dtype=x.dtype) @ row) ** 2))(x)

    for n, dtype in ((16_385, "float64"), (32_769, "float32")):
        i = jnp.arange(n, dtype=dtype)
        x = jnp.stack([i, 0 * i, 0 * i], axis=1)
        eager, jitted = sums(x), jax.jit(sums)(x)
        print(dtype, float(eager[-1]) == float(n - 1) ** 2, bool((eager == jitted).all()))
"""


def test_the_compiler_of_this_environment_is_right():
    # In a process of their own: a faulty compiler ends it.
    run = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(PROGRAMS)],
        env={**os.environ, "JAX_DISABLE_MOST_OPTIMIZATIONS": "0"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    expected = ["broadcast-reduce True", "float64 True True", "float32 True True"]
    advice = "this release belongs into WRONG_RELEASES and out of setup.cfg"
    assert (run.returncode, run.stdout.splitlines()) == (0, expected), (
        f"jaxlib {metadata.version('jaxlib')}: {advice}\n{run.stderr}"
    )


def test_a_wrong_release_is_told_once_and_what_to_install(monkeypatch):
    monkeypatch.setattr(compiler.metadata, "version", lambda package: "0.10.2")
    monkeypatch.delenv("XLA_FLAGS", raising=False)
    with pytest.warns(RuntimeWarning, match="wrong numbers") as told:
        warn_of_wrong_compiler()
    (warning,) = told
    assert "39103" in str(warning.message)
    assert "jax==0.10.1" in str(warning.message)
    assert "\n" not in str(warning.message)

    monkeypatch.setenv("XLA_FLAGS", f"--xla_force_host_platform_device_count=2 {SWITCH_OFF}")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_of_wrong_compiler()  # without the fusion the release is right


def test_importing_the_library_warns(tmp_path):
    program = (
        "from importlib import metadata; version = metadata.version;"
        "metadata.version = lambda name: '0.11.0' if name == 'jaxlib' else version(name);"
        "import ntk_aug, ntk_aug.checks, ntk_aug"
    )
    run = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert run.stderr.count("RuntimeWarning") == 1
    assert "39257" in run.stderr


def test_the_requirements_exclude_just_the_wrong_releases():
    settings = configparser.ConfigParser()
    settings.read(ROOT / "setup.cfg")
    requirements = settings["options"]["install_requires"].splitlines()
    for package in ("jax", "jaxlib"):
        (line,) = (line for line in requirements if line.split()[:1] == [package])
        admitted = SpecifierSet(line.removeprefix(package))
        assert not [release for release in WRONG_RELEASES if release in admitted]
        assert all(release in admitted for release in ("0.10.1", "0.12.0.1", "0.12.1"))


def test_programs_from_the_cache_print_no_errors(tmp_path):
    program = (
        "import {package}, jax; import jax.numpy as jnp;"
        "jax.config.update('jax_persistent_cache_min_compile_time_secs', 0.0);"
        "print(jax.jit(jnp.sin)(jnp.ones(3)).sum())"
    )
    environment = {**os.environ, "JAX_COMPILATION_CACHE_DIR": str(tmp_path)}
    environment.pop("TF_CPP_MIN_LOG_LEVEL", None)  # JAX, imported by the tests, sets it
    for package in ("analysis", "experiments", "analysis"):
        run = subprocess.run(
            [sys.executable, "-c", program.format(package=package)],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        assert run.stderr == ""
    assert any(tmp_path.iterdir())
