"""A step too long, and one too short.

Vanilla policy gradient on CartPole, θ ← θ + α mean(∇log π_θ(a|s) Â): the same method with several
rates α. The next batch is collected by the policy that the last step made. A step that makes it
nearly deterministic and bad leaves nothing to learn from: no other action is seen any more.
"""

import numpy as np
import page

import surefoot as sf
from surefoot.methods.families.actor_critic import regression


def vanilla(rate):
    step = sf.Step(sf.Score(), sf.Euclidean(), sf.Fixed(rate))
    return sf.Algorithm(step, regression(1e-3, 10, 128))


def main(out="01_step_size.svg", steps=60_000, seeds=5):
    figure, returns, entropy = page.figure(2, xlabel="iteration")
    rows = []
    for rate in (0.01, 0.1, 1.0, 10.0, 100.0):
        options = {"steps": steps, "seeds": seeds, "num_envs": 8, "horizon": 128}
        runs = page.trained(vanilla(rate), "CartPole-v1", **options)
        curve = np.median(page.returns(runs), axis=0)
        spread = np.median(page.column(runs, "entropy"), axis=0)
        largest = np.median(page.column(runs, "kl_mean").max(axis=1))
        last = page.returns(runs)[:, -5:].mean(axis=1)
        rows.append((rate, curve.max(), np.median(last), last.max(), spread[-1], largest))
        returns.plot(curve, label=f"α = {rate:g}")
        entropy.plot(spread, label=f"α = {rate:g}")
    names = "rate", "best return", "last return", "last, best seed", "last entropy", "largest KL"
    page.table(names, rows)
    returns.set(title="return, median of seeds")
    entropy.set(title="entropy of the policy, nats")
    page.save(figure, out)
    return rows


if __name__ == "__main__":
    page.run(main)
