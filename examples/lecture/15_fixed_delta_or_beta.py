"""A fixed δ travels, a fixed β does not.

The natural gradient's step with KLBall(δ), and with Penalty(β): θ + F⁻¹g/β. β is in units of the
advantage per nat, so that another scale of rewards is another method; δ is in nats, whatever the
task. CartPole with rewards × 0.1, 1 and 10, and Pendulum, advantages and rewards not standardized.
"""

import dataclasses

import numpy as np
import page

import surefoot as sf
from surefoot.envs.device.classic import CartPole, Pendulum
from surefoot.methods.families.actor_critic import regression


@dataclasses.dataclass(frozen=True)
class Scaled:
    """An environment with its rewards times a factor."""

    env: object
    factor: float

    def __getattr__(self, name):
        return getattr(self.env, name)

    def reward(self, *transition):
        return self.factor * self.env.reward(*transition)


def natural(step_size):
    step = sf.Step(sf.Surrogate(), sf.Fisher(sf.CG(10), damping=0.1), step_size)
    return sf.Algorithm(step, regression(1e-3, 20, 128), normalize_advantages=False)


def main(out="15_fixed_delta_or_beta.svg", steps=60_000, seeds=3, delta=0.01, beta=100.0):
    tasks = {
        "CartPole × 0.1": (CartPole(), 0.1, 500),
        "CartPole": (CartPole(), 1.0, 500),
        "CartPole × 10": (CartPole(), 10.0, 500),
        "Pendulum": (Pendulum(), 1.0, 200),
    }
    rules = {f"δ = {delta:g}": sf.KLBall(delta), f"β = {beta:g}": sf.Penalty(beta)}
    options = {"num_envs": 8, "horizon": 256, "scale_rewards": False}
    figure, *axes = page.figure(2, xlabel="iteration", ylabel="KL(old‖new), nats")
    rows = []
    for axis, (rule, step_size) in zip(axes, rules.items(), strict=True):
        for task, (env, factor, limit) in tasks.items():
            env = sf.DeviceEnv(Scaled(env, factor), time_limit=limit)
            runs = page.trained(natural(step_size), env, steps=steps, seeds=seeds, **options)
            kl, final = page.column(runs, "kl_mean"), page.returns(runs)[:, -5:] / factor
            first = page.returns(runs)[:, :5] / factor
            rows.append((rule, task, np.median(kl), kl.max(), np.median(first), np.median(final)))
            axis.semilogy(np.maximum(np.median(kl, axis=0), 1e-8), label=task)
        axis.set(title=rule)
    names = "step", "task", "median KL", "largest KL", "first return", "last return"
    page.table(names, rows)
    page.save(figure, out)
    return rows


if __name__ == "__main__":
    page.run(main)
