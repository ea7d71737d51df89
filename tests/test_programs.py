from pathlib import Path

import jax
import pytest

from ntk_aug.programs import use_compilation_cache


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"JAX_COMPILATION_CACHE_DIR": "own", "XDG_CACHE_HOME": "base"}, None),
        ({"XDG_CACHE_HOME": "base"}, "base/ntk_aug/jax"),
        ({}, str(Path.home() / ".cache" / "ntk_aug" / "jax")),
    ],
)
def test_compiled_programs_are_kept_where_the_environment_says(environment, expected, monkeypatch):
    for name in ("JAX_COMPILATION_CACHE_DIR", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    updates = {}
    monkeypatch.setattr(jax.config, "update", updates.__setitem__)
    use_compilation_cache()
    assert updates.get("jax_compilation_cache_dir") == expected
    assert updates["jax_persistent_cache_min_compile_time_secs"] > 0
