"""What one turn of a loop did, and what the loops share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import PRNGKeyArray

from surefoot.agents.playing.evaluation import Evaluation
from surefoot.common.arrays import Snapshot
from surefoot.methods.learners.learner import TrainState


class Timing(NamedTuple):
    """Where one iteration's wall time went, in seconds; `None` if not measured separately."""

    total: float
    """From the end of the iteration before to the end of this one, compiling included."""
    steps_per_s: float
    """Steps over `total`."""
    compile: float = 0.0
    """Tracing and compiling, in the first iteration only."""
    environment: float | None = None
    """Waiting for the environments' steps."""
    act: float | None = None
    """Computing actions."""
    update: float | None = None
    """Advantages and the policy's update; with recorded data, all of learning."""
    critic: float | None = None
    """On the host: fitting the critic, beside the next iteration's collection. What is left of it
    when that ends counts in the next iteration's `total`, in the last one in its own."""
    program: float | None = None
    """On the device: the whole iteration, one compiled program."""
    evaluation: float | None = None
    """The evaluation after this iteration, if there was one; no part of `total`."""

    @classmethod
    def of(cls, total: float, steps: int, **parts: Any) -> Timing:
        """That of so many seconds and steps."""
        return cls(total, steps / total, **parts)

    def longer(self, seconds: float, steps: int) -> Timing:
        """The same with so many seconds more, for so many steps."""
        total = self.total + seconds
        return self._replace(total=total, steps_per_s=steps / total)

    @property
    def collected(self) -> bool:
        """Whether environments were stepped."""
        return self.environment is not None or self.program is not None


class Iteration(NamedTuple):
    """What one turn of the loop did."""

    number: int
    """Counts from 0."""
    steps: int
    """Environment steps of the run so far, with this iteration's; lost ones count."""
    state: TrainState
    """The state after this iteration; on the device, after the last one of the same call."""
    metrics: dict[str, Any]
    """Every diagnostic, flat: the policy update's by their field names, the critic's with the
    prefix `critic_`. Numbers, or lists of one for each action dimension."""
    episode_returns: np.ndarray
    """Raw undiscounted returns of the episodes that ended in this iteration."""
    episode_lengths: np.ndarray
    """Their lengths in steps."""
    timing: Timing
    notices: tuple[str, ...] = ()
    """A line for every environment that was restarted."""
    snapshot: Callable[[], Snapshot] | None = None
    """Makes a snapshot of where the environments stand after this iteration; until the next one is
    asked for. `None` within a call of a compiled program that goes on."""
    evaluation: Evaluation | None = None
    """The evaluation after this iteration; no loop has one."""


class ResumePoint(NamedTuple):
    """Where a resumed loop starts."""

    number: int = 0
    """Iterations done."""
    steps: int = 0
    """Environment steps done."""
    environments: Any = None
    """What the loop's `restore` returned; `None` for new environments."""


FRESH = ResumePoint()


def merged(told: Sequence[Iteration]) -> Iteration:
    """Iterations of runs side by side as one, to be shown: steps, episodes and evaluations of all,
    the metrics' means, but the number of those that are `refused`, the state of the first."""
    if len(told) == 1:
        return told[0]
    rate = sum(one.timing.steps_per_s for one in told)
    evaluations = [one.evaluation for one in told if one.evaluation is not None]
    evaluation = None
    if evaluations:
        # Of as many episodes each: their mean is the mean of the runs' means.
        evaluation = Evaluation(
            np.concatenate([one.returns for one in evaluations]),
            np.concatenate([one.lengths for one in evaluations]),
            sum(one.cut for one in evaluations),
        )
    return Iteration(
        told[0].number,
        sum(one.steps for one in told),
        told[0].state,
        {
            name: np.mean([one.metrics[name] for one in told], axis=0).tolist()
            for name in told[0].metrics
        }
        | {"refused": sum(one.metrics["refused"] for one in told)},
        np.concatenate([one.episode_returns for one in told]),
        np.concatenate([one.episode_lengths for one in told]),
        told[0].timing._replace(steps_per_s=rate),
        evaluation=evaluation,
    )


class Seeds(NamedTuple):
    """Independent sources of randomness for one run."""

    environment: int
    """Sub-environment i is seeded with this + i; far apart for neighboring seeds."""
    networks: PRNGKeyArray
    """Initial weights."""
    learning: PRNGKeyArray
    collecting: PRNGKeyArray

    @classmethod
    def of(cls, seed: int) -> Seeds:
        """Those of the run's seed."""
        environment = int(np.random.SeedSequence(seed).generate_state(1, np.uint32)[0] >> 1)
        return cls(environment, *jax.random.split(jax.random.key(seed), 3))


def flatten(metrics: Any, critic: Any) -> dict[str, Any]:
    """Named tuples and dicts, nested to any depth, as one flat dict of Python numbers, and lists of
    them."""
    flat: dict[str, Any] = {}

    def visit(node: Any, prefix: str) -> None:
        for name, value in (node if isinstance(node, dict) else node._asdict()).items():
            if isinstance(value, tuple | dict):
                if value:  # A part with nothing to report says ().
                    visit(value, prefix)
            else:
                assert prefix + name not in flat, f"two diagnostics are called {prefix + name}"
                flat[prefix + name] = np.asarray(value).tolist()

    visit(jax.device_get(metrics), "")
    if critic is not None:
        visit(jax.device_get(critic), "critic_")
    return flat
