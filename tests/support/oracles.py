"""What the library computes, computed again slowly: sums over all actions, loops over episodes,
dense matrices, SciPy."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
from scipy import special, stats

from support.problems import forward, normalized
from surefoot.core.distributions import Bernoulli, Categorical, DiagGaussian, MultiCategorical


def support(dist):
    """(actions [S, B, …], probabilities [S, B]) with which every expectation of the score's outer
    product is exact: all actions of a discrete distribution, and three Gauss–Hermite points a
    dimension of a Gaussian, whose squared scores have degree four."""
    if isinstance(dist, DiagGaussian):
        mean, std = np.asarray(dist.mean), np.exp(np.asarray(dist.log_std))
        nodes, weights = np.polynomial.hermite_e.hermegauss(3)
        grid = list(itertools.product(range(3), repeat=mean.shape[-1]))
        actions = np.stack([mean + std * nodes[list(point)] for point in grid])
        mass = [np.prod(weights[list(point)] / np.sqrt(2 * np.pi)) for point in grid]
        return actions, np.broadcast_to(np.asarray(mass)[:, None], actions.shape[:2])
    if isinstance(dist, Categorical):
        p = special.softmax(np.asarray(dist.logits), axis=-1)
        actions = np.broadcast_to(np.arange(p.shape[-1])[:, None], p.T.shape)
        return actions, p.T
    if isinstance(dist, MultiCategorical):
        ps = [special.softmax(np.asarray(part.logits), axis=-1) for part in dist.parts]
    else:
        heads = special.expit(np.asarray(dist.logits))
        ps = [np.stack([1 - heads[:, i], heads[:, i]], axis=-1) for i in range(heads.shape[1])]
    points = list(itertools.product(*(range(p.shape[-1]) for p in ps)))
    mass = np.stack(
        [np.prod([p[:, i] for p, i in zip(ps, point, strict=True)], axis=0) for point in points]
    )
    actions = np.broadcast_to(np.asarray(points)[:, None], (*mass.shape, len(ps)))
    return actions, mass


def log_prob_by_hand(dist, action):
    """[B] log-probabilities from scipy, row by row."""
    action, dist = np.asarray(action), jax.tree.map(np.asarray, dist)
    rows = []
    for i in range(len(action)):
        if isinstance(dist, DiagGaussian):
            normal = stats.norm(dist.mean[i], np.exp(dist.log_std[i]))
            rows.append(normal.logpdf(action[i]).sum())
        elif isinstance(dist, Bernoulli):
            p = special.expit(dist.logits[i])
            rows.append(sum(np.log(p[j] if a else 1 - p[j]) for j, a in enumerate(action[i])))
        else:
            parts = dist.parts if isinstance(dist, MultiCategorical) else (dist,)
            chosen = action[i] if isinstance(dist, MultiCategorical) else [action[i]]
            log_ps = [special.log_softmax(part.logits[i]) for part in parts]
            rows.append(sum(log_p[a] for log_p, a in zip(log_ps, chosen, strict=True)))
    return np.asarray(rows)


def kl_by_hand(p, q):
    """[B] values of KL(p‖q): sums over all actions, or the textbook form for a Gaussian."""
    if isinstance(p, DiagGaussian):
        m1, s1 = np.asarray(p.mean), np.exp(np.asarray(p.log_std))
        m2, s2 = np.asarray(q.mean), np.exp(np.asarray(q.log_std))
        return (np.log(s2 / s1) + (s1**2 + (m1 - m2) ** 2) / (2 * s2**2) - 0.5).sum(-1)
    return stats.entropy(support(p)[1], support(q)[1], axis=0)


def metric_by_hand(dist):
    """[B, φ, φ]: the textbook Fisher matrices of the distribution's own parameters."""

    def one(p):
        return np.diag(p) - np.outer(p, p)

    if isinstance(dist, DiagGaussian):
        precision = np.exp(-2 * np.asarray(dist.log_std))
        return np.stack([np.diag([*row, *(2 * np.ones_like(row))]) for row in precision])
    if isinstance(dist, Bernoulli):
        p = special.expit(np.asarray(dist.logits))
        return np.stack([np.diag(row * (1 - row)) for row in p])
    parts = dist.parts if isinstance(dist, MultiCategorical) else (dist,)
    ps = [special.softmax(np.asarray(part.logits), axis=-1) for part in parts]
    size, rows = sum(p.shape[-1] for p in ps), len(ps[0])
    metric, at = np.zeros((rows, size, size)), 0
    for p in ps:
        k = p.shape[-1]
        metric[:, at : at + k, at : at + k] = [one(row) for row in p]
        at += k
    return metric


def flat(dist):
    """[B, φ]: all parameters of each row."""
    return jnp.concatenate(jax.tree.leaves(dist), axis=-1)


@jax.jit
def jacobian(policy, obs):
    """[B, φ, …]: the derivative of each row's parameters, one row after the other."""
    return jax.vmap(lambda row: jax.jacrev(lambda policy: flat(policy(row)))(policy))(obs)


def dense_fisher(policy, batch):
    """E[JᵀMJ] with the dense Jacobian of the distribution's parameters and textbook metrics."""
    leaves = map(np.asarray, jax.tree.leaves(jacobian(policy, batch.obs)))
    j = np.concatenate([leaf.reshape(*leaf.shape[:2], -1) for leaf in leaves], axis=-1)
    metric = metric_by_hand(forward(policy, batch.obs))
    return np.einsum("b,bip,bij,bjq->pq", normalized(batch.weight), j, metric, j, optimize=True)


def episodes(terminated, truncated, valid):
    """Lists of (t, n) of the transitions of each episode, or of the part of it in the batch and
    before the rest was lost."""
    found = []
    for n in range(terminated.shape[1]):
        current = []
        for t in range(terminated.shape[0]):
            if not valid[t, n]:
                if current:
                    found.append(current)
                current = []
                continue
            current.append((t, n))
            if terminated[t, n] or truncated[t, n]:
                found.append(current)
                current = []
        if current:
            found.append(current)
    return found


def gae_by_hand(reward, value, next_value, terminated, truncated, valid, discount, gae_lambda):
    """Â_t = Σ_l (γλ)^l δ_{t+l} within each episode."""
    advantage = np.zeros_like(reward)
    for episode in episodes(terminated, truncated, valid):
        residuals = [
            reward[row] - value[row] + (0 if terminated[row] else discount * next_value[row])
            for row in episode
        ]
        for start, row in enumerate(episode):
            for later, residual in enumerate(residuals[start:]):
                advantage[row] += (discount * gae_lambda) ** later * residual
    return advantage


def finished_by_hand(terminated, truncated, valid):
    """Whether a row is a transition of an episode that ends in the batch."""
    result = np.zeros_like(valid)
    for episode in episodes(terminated, truncated, valid):
        end = episode[-1]
        for row in episode:
            result[row] = terminated[end] or truncated[end]
    return result
