"""What the exact updates do on FrozenLake-v1, and what a large sparse table costs.

    python -m benchmarks.theory

Twenty random starts, softmax policies with logits of standard deviation 2, at γ = 0.99 and 0.5, two
hundred iterations of each update: J averaged over the starts as a share of the optimum's, the
deepest fall of J in any iteration, and the mean KL(old‖new) of the first step. Then the processor's
seconds of one evaluation of ten thousand states with four actions, the fastest of three.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import numpy as np
from gymnasium.envs.toy_text.frozen_lake import generate_random_map

from surefoot import theory

STARTS, ITERATIONS, SHOWN = 20, 200, (1, 10, 100, 200)
UPDATES = {
    "exact TRPO, δ = 0.1": theory.TRPO(max_kl=0.1),
    "natural gradient, δ = 0.1": theory.NaturalGradient(max_kl=0.1),
    "gradient, α = 10": theory.PolicyGradient(learning_rate=10.0),
    "penalized, ε(π′)": theory.Penalized(),
    "penalized, ε fixed": theory.FixedPenalized(),
    "conservative iteration": theory.ConservativeIteration(),
}


def of_updates(discount: float) -> Iterator[str]:
    """A line of the table for each update."""
    lake = theory.from_gymnasium("FrozenLake-v1", discount=discount)
    logits = np.random.default_rng(11).normal(scale=2, size=(STARTS, lake.states, lake.actions))
    weights = np.exp(logits)
    starts = weights / weights.sum(axis=-1, keepdims=True)
    best, first = lake.optimal().J, lake.evaluate(starts).J
    for name, update in UPDATES.items():
        rows = list(theory.improve(lake, starts, update, iterations=ITERATIONS))
        J = np.stack([first, *(row.J for row in rows)])
        shares = " | ".join(f"{(J[k] / best).mean():.2%}" for k in (0, *SHOWN))
        fall = max(0.0, float(-np.diff(J, axis=0).min()))
        kl = float(rows[0].kl.mean())
        told = f"{(J[-1] / best).min():.2%} | {fall:.0e} | {kl:.1e}"
        yield f"| {discount} | {name} | {shares} | {told} |"


def large() -> Iterator[tuple[str, Callable[[float], theory.TabularMDP]]]:
    """Two shapes of ten thousand states and four actions."""
    size = {"states": 10_000, "actions": 4, "branching": 3}
    yield "random", lambda discount: theory.garnet(0, discount=discount, **size)
    lake = generate_random_map(100, p=0.98, seed=0)
    yield (
        "grid",
        lambda discount: theory.from_gymnasium("FrozenLake-v1", discount=discount, desc=lake),
    )


def fastest(mdp: theory.TabularMDP) -> float:
    """The processor's seconds of an evaluation, whatever else runs beside it."""
    uniform = np.full((mdp.states, mdp.actions), 1 / mdp.actions)
    took = []
    for _ in range(3):
        begin = time.process_time()
        mdp.evaluate(uniform)
        took.append(time.process_time() - begin)
    return min(took)


def main() -> None:
    """Print the tables."""
    columns = " | ".join(f"{k}" for k in (0, *SHOWN))
    print(f"| γ | update | J after {columns} | worst start | fall | first KL |")
    print("|---" * (len(SHOWN) + 6) + "|")
    for discount in (0.99, 0.5):
        print("\n".join(of_updates(discount)))
    print("\n| 10,000 × 4 | γ | seconds |\n|---|---|---|")
    for name, make in large():
        for discount in (0.99, 0.999):
            print(f"| {name} | {discount} | {fastest(make(discount)):.3f} |")


if __name__ == "__main__":
    main()
