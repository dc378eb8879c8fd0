"""Maximum likelihood of an expert's actions, with and without regularization.

max E log π_θ(a_expert|s), from a few of the expert's rows. Its likelihood of the rows that it has
seen rises and rises; that of the expert's other rows turns. An entropy bonus, or L2 on the
weights, takes away from the first what the second does not need. CartPole; the expert is
stochastic.
"""

import jax
import jax.numpy as jnp
import numpy as np
import page

import surefoot as sf
from surefoot.core.networks import CategoricalHead, mlp_policy
from surefoot.methods.families.optimizers import decayed_adam
from surefoot.theory import estimate


def expert_rows(steps, episodes):
    """What an expert saw and did, in random order."""
    expert = sf.train("trpo", "CartPole-v1", backend="device", steps=steps)
    played = estimate.play(expert, episodes=episodes, horizon=500)
    valid = np.asarray(played.valid)
    order = np.random.default_rng(0).permutation(valid.sum())
    obs = np.asarray(expert.normalizer(played.obs))[valid][order]
    return jnp.asarray(obs), jnp.asarray(np.asarray(played.action)[valid][order])


def clone(objective, weight_decay, seen, held_out, updates):
    """Mean log-likelihood of both after every update, and the entropy on held-out states."""
    step = sf.Step(objective, sf.Optax(decayed_adam, weight_decay=weight_decay), sf.Fixed(3e-3))
    policy = mlp_policy(jax.random.key(1), 4, CategoricalHead(2))
    ones = jnp.ones(len(seen[0]))
    batch = sf.Batch(*seen, policy(seen[0]), ones, ones, jnp.zeros(()))

    def update(carry, key):
        policy, state, _ = step.move(key, *carry, batch)
        other = policy(held_out[0])
        fits = policy(seen[0]).log_prob(seen[1]).mean(), other.log_prob(held_out[1]).mean()
        return (policy, state), (*fits, other.entropy().mean())

    keys = jax.random.split(jax.random.key(2), updates)
    return [np.array(x) for x in jax.lax.scan(update, (policy, step.init(policy)), keys)[1]]


def main(out="13_cloning.svg", steps=50_000, episodes=20, rows_seen=200, updates=1500):
    obs, action = expert_rows(steps, episodes)
    seen, held_out = (obs[:rows_seen], action[:rows_seen]), (obs[rows_seen:], action[rows_seen:])
    figure, fit, other = page.figure(2, xlabel="update", ylabel="mean log π(a|s), nats")
    rows = []
    for name, objective, decay in (
        ("none", sf.Likelihood(), 0.0),
        ("entropy bonus 0.5", sf.EntropyBonus(sf.Likelihood(), 0.5), 0.0),
        ("L2 0.003", sf.Likelihood(), 0.003),
    ):
        likelihood, elsewhere, entropy = clone(objective, decay, seen, held_out, updates)
        rows.append((name, likelihood[-1], elsewhere.max(), elsewhere[-1], entropy[-1]))
        fit.plot(likelihood, label=name)
        other.plot(elsewhere, label=name)
    names = "regularization", "seen rows", "held out, best", "held out, last", "entropy"
    page.table(names, rows)
    fit.set(title=f"the {rows_seen} rows seen")
    other.set(title="held-out rows")
    page.save(figure, out)
    return rows


if __name__ == "__main__":
    page.run(main)
