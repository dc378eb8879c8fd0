"""A model card: what an exported policy is, how good it was, and how to run it.

Markdown with the YAML head that Hugging Face's model cards have. It says what the agent and its
run tell, and nothing where they tell nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from surefoot.agents.export.card.inputs_and_outputs import inputs_and_outputs, limits
from surefoot.agents.export.card.markdown import block, code, quoted, table
from surefoot.agents.export.card.masks_beside import masks_beside
from surefoot.agents.export.card.training_facts import settings, training, versions
from surefoot.agents.export.card.usage_example import usage
from surefoot.agents.export.formats.ports import interface
from surefoot.agents.export.formats.provenance import Origin
from surefoot.agents.playing.evaluation import Evaluation
from surefoot.common.statistics import t_interval
from surefoot.envs.host.atari import is_atari

if TYPE_CHECKING:
    from surefoot.agents.agent import Agent

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
    taken = interface(agent)
    observed = masks_beside(agent.spec, env_id)
    game = agent.spec.preprocessing if is_atari(env_id) else None
    example = usage(taken, file=file, kind=kind, env_id=env_id, observed=observed, game=game)
    needs = _RUN_WITH[kind] + (" gymnasium" if env_id else "")
    needs += "" if game is None else " ale-py opencv-python-headless"
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
        inputs_and_outputs(taken, kind),
        "## Limits",
        limits(agent, origin),
        "## How it was made",
        training(origin),
        "### Hyperparameters",
        settings({**origin.hyperparameters, **origin.settings}),
        "### Versions",
        versions(origin, kind),
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
        if played.result.cut:
            longest = int(played.result.lengths.max())
            what += f"; {played.result.cut} of them cut after {longest:,} steps"
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
