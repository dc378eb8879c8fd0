"""`surefoot doctor`: versions, devices, and a computation that some builds of JAX get wrong."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Sequence

from surefoot.cli.arguments import parse

#: Builds that are known to be wrong, and how.
_BROKEN = {
    "0.10.2": "silently miscomputes batched products past 32,768 float32 rows on CPU",
    "0.11.0": "can crash in batched products on CPU",
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Doctor:
    """Show versions and devices, and check that this build of JAX computes correctly."""


def main(arguments: Sequence[str]) -> int:
    """Examine this installation, and return the exit code: 1 if the build must not be used."""
    parse(Doctor, arguments, prog="surefoot doctor", positionals=[])
    import jax

    from surefoot.common.jax_setup import check_backend
    from surefoot.runs.run import versions

    for name, version in versions().items():
        print(f"{name:<12}{version}")
    check_backend()
    print(f"{'devices':<12}{', '.join(map(str, jax.devices()))}")
    jax_version = versions()["jaxlib"]
    if jax_version in _BROKEN:
        print(
            f"surefoot: jaxlib {jax_version} {_BROKEN[jax_version]}; accepted is any other from "
            "0.10.1: pip install 'jax!=0.10.2,!=0.11.0' 'jaxlib!=0.10.2,!=0.11.0'",
            file=sys.stderr,
        )
        return 1
    error = canary()
    if not error < 1e-4:
        print(
            f"surefoot: this build of JAX miscomputes a batched product (relative error {error:.1e}"
            "; accepted is < 1e-4): install another version of jax and jaxlib",
            file=sys.stderr,
        )
        return 1
    print(f"{'canary':<12}relative error {error:.1e}: sound")
    return 0


def canary(rows: int = 40_000) -> float:
    """Largest relative error of jit(vmap(sum((M @ row)²))) in float32 against NumPy in float64, on
    the default device. Correct builds stay below 1e-4."""
    import jax
    import jax.numpy as jnp
    import numpy as np

    rng = np.random.default_rng(0)
    matrix, data = rng.normal(size=(8, 8)), rng.normal(size=(rows, 8))
    expected = ((data @ matrix.T) ** 2).sum(axis=1)
    m, x = jnp.asarray(matrix, jnp.float32), jnp.asarray(data, jnp.float32)
    got = np.asarray(jax.jit(jax.vmap(lambda row: jnp.sum((m @ row) ** 2)))(x), np.float64)
    return float(np.max(np.abs(got - expected) / expected))
