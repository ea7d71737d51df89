"""Releases of JAX whose CPU compiler is faulty or noisy.

One fusion of the compiler computes wrong numbers. The package's requirements exclude these
releases, but an environment may have one that was installed by hand or by another package.
"""

import os
import warnings
from importlib import metadata

WRONG_RELEASES = {
    "0.10.2": "jitted sums over many rows are wrong (jax-ml/jax#39103), and some crash (#39257)",
    "0.11.0": "some jitted sums crash the process (jax-ml/jax#39257)",
    "0.11.1": "small writes inside loops cost a copy of the whole array (jax-ml/jax#40101)",
    "0.11.2": "some fused programs are miscompiled (jax-ml/jax#40412)",
}
"""Releases of jaxlib with a faulty CPU compiler, and what is wrong with each."""

SWITCH_OFF = "--xla_cpu_experimental_ynn_fusion_type="
"""The value of XLA_FLAGS that turns the faulty fusion off, at some cost in speed."""

NOISY_CACHE = ("0.9.1", "0.9.2", "0.10.0", "0.10.1")
"""Releases of jaxlib that print an error for every program found in the compilation cache."""


def hide_cache_messages() -> None:
    """Hides an error that some releases print for every program found in the compilation cache.

    The program loads all the same (jax-ml/jax#38445). Call this before JAX is imported. A value of
    TF_CPP_MIN_LOG_LEVEL that is set already is kept; errors of JAX are exceptions and stay visible.
    """
    if metadata.version("jaxlib") in NOISY_CACHE:
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def compiler_fault(jaxlib_version: str, xla_flags: str = "") -> str | None:
    """The fault of this jaxlib's CPU compiler under these XLA_FLAGS, or None."""
    if SWITCH_OFF in xla_flags.split():
        return None
    return WRONG_RELEASES.get(jaxlib_version)


def warn_of_wrong_compiler() -> None:
    """Warns once if the installed jaxlib is one of `WRONG_RELEASES`."""
    version = metadata.version("jaxlib")
    fault = compiler_fault(version, os.environ.get("XLA_FLAGS", ""))
    if fault:
        warnings.warn(
            f"jaxlib {version} computes wrong numbers or crashes on CPUs: {fault}. Install "
            "jax==0.10.1 (Python 3.11) or jax>=0.12.0.1 (Python 3.12 or newer), or set "
            f"XLA_FLAGS={SWITCH_OFF}",
            RuntimeWarning,
            stacklevel=3,
        )
