"""What all tests of commands need."""

import pytest


@pytest.fixture(autouse=True, scope="module")
def own_compilation_cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path_factory.mktemp("jax")))
        yield
