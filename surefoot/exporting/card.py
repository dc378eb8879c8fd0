"""A model card: what an exported policy is, how good it was, and how to run it.

Markdown with the YAML head that Hugging Face's model cards have. It says what the agent and its
run tell, and nothing where they tell nothing.
"""

from __future__ import annotations

import importlib.metadata
import json
import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from gymnasium import spaces

from surefoot.envs.spaces import component, observation_size
from surefoot.evaluation import Evaluation
from surefoot.exporting.markdown import block, code, quoted, table
from surefoot.exporting.origin import Origin
from surefoot.exporting.ports import Port, inputs, output
from surefoot.exporting.usage import usage
from surefoot.normalize import ObservationNormalizer
from surefoot.statistics import t_interval

if TYPE_CHECKING:
    from surefoot.agent import Agent

#: Entries of an observation that are listed one by one.
_LISTED = 40
_WRITTEN_WITH = {"onnx": ("onnx",), "stablehlo": ("jax", "jaxlib")}
_RUN_WITH = {"onnx": "numpy onnxruntime", "stablehlo": "numpy jax flatbuffers"}


class Played(NamedTuple):
    """Episodes that were played for the card."""

    result: Evaluation
    seed: int
    """That they were evaluated with."""
    env_id: str | None
    """Gymnasium id of what they were played on, if it has one."""


def card(
    agent: Agent,
    origin: Origin,
    *,
    file: str,
    kind: str,
    played: Played | None,
    env_id: str | None,
) -> str:
    """The card's text. `file` is the policy's name beside it, `env_id` the Gymnasium id of what it
    can be run on, if there is one."""
    task, recipe = origin.task or "an environment", origin.recipe or "a policy"
    example = usage(agent.observation_space, file=file, kind=kind, env_id=env_id)
    needs = _RUN_WITH[kind] + (" gymnasium" if env_id else "")
    sections = [
        f"---\n{_head(origin, played)}---",
        f"# {code(recipe)} on {code(task)}",
        f"A policy that was trained with surefoot, in {code(file)}: its most probable action for "
        "every observation, with the normalization of observations and the map to the "
        "environment's actions inside.",
        "## Returns",
        _returns(origin, played),
        "## How to run it",
        block(f"pip install {needs}", "sh"),
        block(example, "python"),
        "## Input and output",
        _ports(agent, kind),
        "## Limits",
        _limits(agent, origin),
        "## How it was made",
        _training(origin),
        "### Hyperparameters",
        _numbers({**origin.hyperparameters, **origin.setup}),
        "### Versions",
        _versions(origin, kind),
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def _head(origin: Origin, played: Played | None) -> str:
    known = [name for name in (origin.recipe, origin.task) if name]
    tags = ["reinforcement-learning", "deep-reinforcement-learning", "surefoot", *known]
    lines = ["library_name: surefoot", "pipeline_tag: reinforcement-learning", "tags:"]
    lines += [f"- {quoted(tag)}" for tag in tags]
    mean = float("nan") if played is None else played.result.mean
    task = (played.env_id if played is not None else None) or origin.task
    # A result has to name its data, and to be a number.
    if played is not None and task and np.isfinite(mean):
        lines += [
            "model-index:",
            f"- name: {quoted('-'.join(known) or 'policy')}",
            "  results:",
            "  - task:",
            "      type: reinforcement-learning",
            "      name: reinforcement-learning",
            "    dataset:",
            f"      name: {quoted(task)}",
            f"      type: {quoted(task)}",
            "    metrics:",
            "    - type: mean_reward",
            f"      name: mean return of {len(played.result.returns)} episodes",
            f"      value: {mean:.4f}",
            "      verified: false",
        ]
    return "\n".join(lines) + "\n"


def _returns(origin: Origin, played: Played | None) -> str:
    rows = []
    if played is not None:
        on = f" on {code(played.env_id)}" if played.env_id else ""
        what = f"most probable actions{on}, played for this card with seed {played.seed}"
        rows.append([what, *_statistics(played.result.returns)])
    if origin.returns:
        of = "training" if origin.steps is not None else "the run, maybe later than this policy"
        what = f"the last {len(origin.returns)} episodes of {of}, with sampled actions"
        rows.append([what, *_statistics(np.array(origin.returns))])
    if not rows:
        return "None is known: no episode was played for this card."
    head = ["episodes", "number", "mean return", "95 % interval", "standard deviation", "range"]
    return (
        f"{table(head, rows)}\n\nReturns are sums of raw rewards. Intervals are Student's t for "
        "the mean and take the episodes for independent; they tell nothing of other training seeds."
    )


def _statistics(returns: np.ndarray) -> list[str]:
    mean, number = returns.mean(), len(returns)
    interval = spread = "–"
    if number > 1:
        spread = f"{returns.std(ddof=1):.2f}"
        low, high = t_interval(returns)
        interval = f"{low:.2f} to {high:.2f}"
    return [
        str(number),
        f"{mean:.2f}",
        interval,
        spread,
        f"{returns.min():.2f} to {returns.max():.2f}",
    ]


def _ports(agent: Agent, kind: str) -> str:
    taken = inputs(agent.observation_space)
    rows = [
        [role, code(port.name), code(port.dtype), code(_shape(port)), _meaning(port.space)]
        for role, port in [*(("input", p) for p in taken), ("output", output(agent.action_space))]
    ]
    head = ["", "name", "type", "shape", "values"]
    nested = kind == "stablehlo" and any(port.path for port in taken)
    note = (
        " The program takes them as one argument, nested as the observation is." if nested else ""
    )
    return (
        f"{table(head, rows)}\n\nObservations go in and the action comes out as the environment "
        f"has them, with a batch dimension of any size in front.{note}"
    )


def _shape(port: Port) -> str:
    return f"[{', '.join(['batch', *map(str, port.shape)])}]"


def _meaning(space: spaces.Space) -> str:
    match space:
        case spaces.Box():
            low, high = float(space.low.min(initial=np.inf)), float(space.high.max(initial=-np.inf))
            return f"numbers from {low:g} to {high:g}"
        case spaces.Discrete():
            return f"an integer from {int(space.start)} to {int(space.start + space.n) - 1}"
        case spaces.MultiDiscrete():
            first, last = space.start, space.start + space.nvec - 1
            return f"integers from {code(first.tolist())} to {code(last.tolist())}"
        case _:
            return "0 or 1"


def _limits(agent: Agent, origin: Origin) -> str:
    trained = f"The policy was trained on {code(origin.task)} alone. " if origin.task else ""
    lines = [
        f"{trained}What it does with observations that differ from those of its training is not "
        "known."
    ]
    normalizer = agent.normalizer
    if not isinstance(normalizer, ObservationNormalizer):
        return f"{lines[0]} It keeps no statistics of the observations of its training."
    seen, mean, var = (np.asarray(x) for x in normalizer.moments)
    if not seen:
        return f"{lines[0]} Its normalizer has seen no observation."
    std, clip = np.sqrt(var), normalizer.clip
    lines.append(
        f"In training it saw {seen:,.0f} observations. Inside, every entry is standardized by "
        f"their mean and standard deviation, and cut off at {clip:g} deviations on either side."
    )
    space = agent.observation_space
    size = observation_size(space)
    low, high = _bounds(space)
    rows = [
        [code(component(space, i)), *(f"{x[i]:.4g}" for x in (mean, std, low, high))]
        for i in range(min(size, _LISTED))
    ]
    head = ["entry, encoded", "mean", "standard deviation", "least possible", "largest possible"]
    lines.append(table(head, rows))
    if size > _LISTED:
        lines.append(f"The other {size - _LISTED} entries are not listed.")
    return "\n\n".join(lines)


def _bounds(space: spaces.Space) -> tuple[np.ndarray, np.ndarray]:
    """Least and largest value of every entry of an encoded observation."""
    low, high = [], []
    for port in inputs(space):
        match port.space:
            case spaces.Box(low=least, high=most):
                low.append(least.reshape(-1))
                high.append(most.reshape(-1))
            case _:
                size = observation_size(port.space)
                low.append(np.zeros(size))
                high.append(np.ones(size))
    return np.concatenate(low), np.concatenate(high)


def _training(origin: Origin) -> str:
    facts = [f"the recipe {code(origin.recipe)}"] if origin.recipe else []
    facts += [f"the task {code(origin.task)}"] if origin.task else []
    facts += [f"seed {origin.seed}"] if origin.seed is not None else []
    if origin.steps is not None:
        facts.append(f"{_of_planned(origin.steps, origin.planned)} environment steps")
    elif origin.run_steps is None and origin.planned is not None:
        facts.append(f"{origin.planned:,} environment steps planned")
    told = f"It was trained with {', '.join(facts)}." if facts else ""
    if origin.steps is None and origin.run_steps is not None:
        steps = _of_planned(origin.run_steps, origin.planned)
        told = f"{told} Its run tells of {steps} environment steps; which of them it was trained "
        told = f"{told}with is not known.".strip()
    if not told:
        return "Nothing is known of its training."
    command = block(shlex.join(origin.command), "sh") if origin.command else ""
    return "\n\n".join(part for part in (told, command) if part)


def _of_planned(steps: int, planned: int | None) -> str:
    # A run that was extended has more steps than were planned.
    more = planned is not None and steps < planned
    return f"{steps:,} of {planned:,} planned" if more else f"{steps:,}"


def _numbers(values: dict[str, Any]) -> str:
    if not values:
        return "None are known."
    rows = [[code(name), code(_plain(value))] for name, value in values.items()]
    return table(["name", "value"], rows)


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _versions(origin: Origin, kind: str) -> str:
    rows = [[code(name), code(version), "training"] for name, version in origin.versions.items()]
    rows.append([code("surefoot"), code(origin.exported_by), "export"])
    packages: Sequence[str] = _WRITTEN_WITH[kind]
    rows += [[code(name), code(importlib.metadata.version(name)), "export"] for name in packages]
    return table(["package", "version", "used for"], rows)
