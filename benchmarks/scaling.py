"""How the cost of an update grows: with the batch, with the network's width, with environments.

    python -m benchmarks.scaling [--out FILE]

An update is TRPO's step of the policy, the critic aside: surrogate, ten conjugate-gradient
iterations, line search, and the report of what it did. A gradient is one of the surrogate on the
same batch, compiled alone. Times are medians of calls that alternate between the two; exponents
are slopes of log time over log size, least squares, from the size on from which the work outweighs
the calls. The Fisher product's memory is what the compiler sets aside for it.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import surefoot as sf  # Before JAX, so that it runs as training does.

import equinox as eqx  # isort: skip
import jax
import jax.numpy as jnp
import numpy as np

from surefoot.core.data.types import Batch
from surefoot.core.distributions import DiagGaussian
from surefoot.core.local_model import LocalModel
from surefoot.envs.device.classic import DEVICE_ENVS
from surefoot.envs.spaces.action_heads import action_head
from surefoot.runs.options import prepare

#: HalfCheetah-v5's.
OBS, ACTIONS = 17, 6
BATCHES = [2048 * 2**k for k in range(7)]
WIDTHS = [64, 128, 256, 512, 1024]
ENVIRONMENTS = [1, 4, 16, 64, 256]
STEP = sf.Step(sf.Surrogate(), sf.Fisher(sf.CG(10)), sf.Backtrack(sf.KLBall(0.01), max_kl=0.01))


def problem(rows: int, width: int) -> tuple[sf.Policy, Batch]:
    """A policy, and a batch of its own actions with random advantages."""
    from gymnasium.spaces import Box

    keys = jax.random.split(jax.random.key(0), 4)
    head = action_head(Box(-1.0, 1.0, (ACTIONS,)), log_std=-0.5, state_dependent_std=False)
    policy = sf.mlp_policy(keys[0], OBS, head, hidden=(width, width))
    obs = jax.random.normal(keys[1], (rows, OBS))
    old = policy(obs)
    assert isinstance(old, DiagGaussian)
    batch = Batch(
        obs=obs,
        action=old.sample(keys[2]),
        old=old,
        advantage=jax.random.normal(keys[3], (rows,)),
        weight=jnp.ones(rows),
        progress=jnp.zeros(()),
    )
    return policy, batch


def gradient(policy: sf.Policy, batch: Batch) -> Any:
    """Of the surrogate."""
    return LocalModel(sf.Surrogate(), policy, batch).grad


def update(policy: sf.Policy, batch: Batch) -> Any:
    """TRPO's."""
    return STEP(jax.random.key(0), policy, STEP.init(policy), batch)


def product(policy: sf.Policy, batch: Batch) -> Any:
    """One Fisher–vector product."""
    return LocalModel(sf.Surrogate(), policy, batch).fvp(eqx.filter(policy, eqx.is_inexact_array))


def medians(programs: Sequence[Callable[[], Any]], *, seconds: float) -> list[float]:
    """Median seconds of each, alternating for that long, five times at least."""
    for program in programs:
        jax.block_until_ready(program())
    took: list[list[float]] = [[] for _ in programs]
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(took[0]) < 5:
        for program, times in zip(programs, took, strict=True):
            begin = time.perf_counter()
            jax.block_until_ready(program())
            times.append(time.perf_counter() - begin)
    return [float(np.median(times)) for times in took]


def of_update(rows: int, width: int, *, seconds: float) -> dict[str, Any]:
    """One line of the tables over batch and width."""
    policy, batch = problem(rows, width)
    compiled = [
        eqx.filter_jit(f).lower(policy, batch).compile() for f in (gradient, update, product)
    ]
    one, whole = medians([lambda p=p: p(policy, batch) for p in compiled[:2]], seconds=seconds)
    (_, _, info) = compiled[1](policy, batch)
    assert bool(info.move.length.accepted), "the search was to take a step"
    return {
        "rows": rows,
        "width": width,
        "parameters": sum(x.size for x in jax.tree.leaves(eqx.filter(policy, eqx.is_array))),
        "gradient": one,
        "update": whole,
        "product_bytes": compiled[2].compiled.memory_analysis().temp_size_in_bytes,
    }


def of_environments(count: int, *, iterations: int = 48, horizon: int = 128) -> dict[str, Any]:
    """A whole iteration of TRPO on CartPole-v1 on the device, the first call left out."""
    steps = iterations * horizon * count
    options = {"steps": steps, "num_envs": count, "horizon": horizon}
    run = prepare("trpo", DEVICE_ENVS["CartPole-v1"], options)
    times = [told.timing.total for told in run.iterations()]
    return {
        "environments": count,
        "rows": horizon * count,
        "iteration": float(np.median(times[16:])),
    }


def exponent(sizes: Sequence[float], times: Sequence[float]) -> float:
    """Slope of log time over log size."""
    return float(np.polyfit(np.log(sizes), np.log(times), 1)[0])


def table(results: dict[str, list[dict[str, Any]]]) -> str:
    """The three tables, in Markdown."""
    lines = []
    for name, size in (("batch", "rows"), ("width", "width")):
        rows = results[name]
        lines += [
            f"| {size} | parameters | gradient | update | update / gradient | Fisher product |",
            "|---|---|---|---|---|---|",
        ]
        lines += [
            f"| {r[size]:,} | {r['parameters']:,} | {1e3 * r['gradient']:.2f} ms | "
            f"{1e3 * r['update']:.2f} ms | {r['update'] / r['gradient']:.1f} | "
            f"{r['product_bytes'] / 2**20:.1f} MiB |"
            for r in rows
        ]
        x = [r[size] for r in rows]
        slopes = [exponent(x, [r[key] for r in rows]) for key in ("update", "product_bytes")]
        lines += [
            "",
            f"update ~ {size}^{slopes[0]:.2f}, memory of a product ~ {size}^{slopes[1]:.2f}",
            "",
        ]
    rows = results["environments"]
    lines += ["| environments | rows | iteration | steps/s |", "|---|---|---|---|"]
    lines += [
        f"| {r['environments']} | {r['rows']:,} | {1e3 * r['iteration']:.1f} ms | "
        f"{r['rows'] / r['iteration']:,.0f} |"
        for r in rows
    ]
    slope = exponent([r["environments"] for r in rows], [r["iteration"] for r in rows])
    return "\n".join([*lines, "", f"iteration ~ environments^{slope:.2f}"])


def main() -> None:
    """Measure, print, and keep."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--out", type=Path, help="a JSON file for the figures")
    parser.add_argument("--seconds", type=float, default=4.0, help="for each pair of times")
    options = parser.parse_args()
    results = {
        "batch": [of_update(rows, 64, seconds=options.seconds) for rows in BATCHES],
        "width": [of_update(2048, width, seconds=options.seconds) for width in WIDTHS],
        "environments": [of_environments(count) for count in ENVIRONMENTS],
    }
    print(table(results))
    if options.out:
        options.out.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
