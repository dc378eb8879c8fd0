"""What the pages of the lecture share: their command line, the runs they look at, tables, figures.

A page is a function `main(out, …)` whose other arguments are its settings; it prints a table, draws
a figure and returns the numbers.
"""

import argparse
import inspect
import json
import os
import tempfile
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import matplotlib
import numpy as np
from matplotlib.figure import Figure

import surefoot as sf
from surefoot.runs.earlier.reproduce import reproduce

STYLE = {
    "font.size": 13,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "lines.linewidth": 2.2,
    "legend.frameon": False,
    "svg.hashsalt": "surefoot",
}


class Logistic(eqx.Module):
    """π_θ(a=1|s) = σ(θᵀs): as many parameters as s has entries."""

    theta: jax.Array

    def __call__(self, obs):
        logit = obs @ self.theta
        return sf.Categorical(jnp.stack([jnp.zeros_like(logit), logit], axis=-1))


def exact_batch(policy, obs, weight, reward):
    """Every action in every state, weighted by d(s) π_old(a|s), with the reward [S, A] for an
    advantage: means over this batch are expectations, without sampling."""
    states, actions = reward.shape
    obs = jnp.repeat(jnp.asarray(obs, float), actions, axis=0)
    action = jnp.tile(jnp.arange(actions), states)
    old = policy(obs)
    weight = jnp.repeat(jnp.asarray(weight, float), actions) * jnp.exp(old.log_prob(action))
    advantage = jnp.asarray(reward, float).reshape(-1)
    return sf.Batch(obs, action, old, advantage, weight, jnp.zeros(()))


def run(main):
    """Call a page with the settings of the command line: `--out`, and a flag for each other one."""
    parser = argparse.ArgumentParser(
        description=inspect.getmodule(main).__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    for name, parameter in inspect.signature(main).parameters.items():
        kind, default = type(parameter.default), parameter.default
        flag = "--" + name.replace("_", "-")
        parser.add_argument(flag, type=kind, default=default, help=f"default: {default}")
    main(**vars(parser.parse_args()))


def table(names, rows):
    """Print rows under their names, right-aligned; numbers with four digits."""
    cells = [[x if isinstance(x, str) else f"{x:.4g}" for x in row] for row in [names, *rows]]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for row in cells:
        print("  ".join(x.rjust(width) for x, width in zip(row, widths, strict=True)))


def figure(panels=1, **titles):
    """A figure and its panels, side by side; `titles` are those of every panel's axes."""
    with matplotlib.rc_context(STYLE):
        made = Figure(figsize=(1.5 + 5.5 * panels, 4.8), layout="constrained")
        axes = made.subplots(1, panels, squeeze=False)[0]
    for axis in axes:
        axis.set(**titles)
    return (made, *axes)


def save(made, out):
    """Write the figure; the suffix says as what."""
    for axis in made.axes:
        if axis.get_legend_handles_labels()[0]:
            axis.legend()
    with matplotlib.rc_context(STYLE):
        made.savefig(out, metadata={"Date": None} if str(out).endswith(".svg") else None)
    print(f"the figure is in {os.fspath(out)}")


def trained(algorithm, env, *, seeds=1, **options):
    """Train on the device, all seeds at once: the rows of each seed's `metrics.jsonl`."""
    with tempfile.TemporaryDirectory() as folder:
        runs = Path(folder) / "runs"
        sf.train_seeds(algorithm, env, range(seeds), out=runs, backend="device", **options)
        files = [runs / f"seed-{seed}" / "metrics.jsonl" for seed in range(seeds)]
        return [[json.loads(row) for row in file.read_text().splitlines()] for file in files]


def last_update(algorithm, env, **options):
    """Train on the device, and the run's last update: policies `old` and `new`, and its batch."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run"
        sf.train(algorithm, env, out=out, backend="device", **options)
        return reproduce(out)


def column(runs, name):
    """One quantity of every iteration [seeds, iterations]."""
    return np.array([[float(row[name]) for row in rows] for rows in runs])


def returns(runs):
    """Mean return of the episodes that ended in each iteration [seeds, iterations]; where none
    did, that of the iteration before."""
    curves = []
    for rows in runs:
        means = [np.mean(row["episode_returns"] or [np.nan]) for row in rows]
        for i in range(1, len(means)):
            means[i] = means[i - 1] if np.isnan(means[i]) else means[i]
        curves.append(means)
    return np.array(curves)
