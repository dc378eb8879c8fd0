"""What the library computes, computed again slowly: sums over all actions, loops over episodes,
dense matrices, SciPy."""

import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
from scipy import linalg, special, stats

from support.problems import forward, normalized
from surefoot.core.distributions import (
    Bernoulli,
    Beta,
    Categorical,
    DiagGaussian,
    Masked,
    MultiCategorical,
    Product,
    TanhGaussian,
)


def plain(dist):
    """What a distribution has its densities and its metric from."""
    if isinstance(dist, Masked):
        return dist.of
    return dist.gaussian if isinstance(dist, TanhGaussian) else dist


def support(dist):
    """(actions [S, B, …], probabilities [S, B]) with which every expectation of the score's outer
    product is exact: all actions that are possible of a discrete distribution; three Gauss–Hermite
    points a dimension of a Gaussian, whose squared scores have degree four; for a beta distribution
    the trapezoidal rule for artanh of the raw action, exact to rounding; every combination of the
    parts' for a product."""
    dist = plain(dist)
    if isinstance(dist, Product):
        return _combined([support(part) for part in dist.parts])
    if isinstance(dist, DiagGaussian):
        mean, std = np.asarray(dist.mean), np.exp(np.asarray(dist.log_std))
        nodes, weights = np.polynomial.hermite_e.hermegauss(3)
        weights = np.broadcast_to(weights[:, None] / np.sqrt(2 * np.pi), (3, len(mean)))
        columns = [mean[:, i] + std[:, i] * nodes[:, None] for i in range(mean.shape[1])]
        return _stacked(*_combined([(column, weights) for column in columns]))
    if isinstance(dist, Beta):
        nodes = np.linspace(-9, 9, 94)[:, None]
        columns = []
        for alpha, beta in zip(np.asarray(dist.alpha).T, np.asarray(dist.beta).T, strict=True):
            log_x, log_rest = -np.log1p(np.exp(-2 * nodes)), -np.log1p(np.exp(2 * nodes))
            mass = np.exp(alpha * log_x + beta * log_rest - special.betaln(alpha, beta))
            mass *= 2 * (nodes[1] - nodes[0])
            columns.append((np.broadcast_to(np.tanh(nodes), mass.shape), mass))
        return _stacked(*_combined(columns))
    if isinstance(dist, Categorical):
        p = special.softmax(np.asarray(dist.logits), axis=-1).T
        possible = p.max(axis=1) > 0
        actions = np.broadcast_to(np.arange(len(p))[:, None], p.shape)
        return actions[possible], p[possible]
    if isinstance(dist, MultiCategorical):
        return _stacked(*_combined([support(part) for part in dist.parts]))
    heads = special.expit(np.asarray(dist.logits))
    coin = np.broadcast_to([[0], [1]], (2, len(heads)))
    coins = [(coin, np.stack([1 - heads[:, i], heads[:, i]])) for i in range(heads.shape[1])]
    return _stacked(*_combined(coins))


def _combined(parts):
    """(a tuple of the parts' actions, probability) of every combination of points."""
    grid = list(itertools.product(*(range(len(mass)) for _, mass in parts)))
    columns = [list(column) for column in zip(*grid, strict=True)]
    chosen = zip(parts, columns, strict=True)
    actions = tuple(jax.tree.map(lambda x, c=c: x[c], actions) for (actions, _), c in chosen)
    chosen = zip(parts, columns, strict=True)
    return actions, np.prod([mass[column] for (_, mass), column in chosen], axis=0)


def _stacked(actions, mass):
    """One array of the numbers of an action."""
    return np.stack(actions, axis=-1), mass


def log_prob_by_hand(dist, action):
    """[B] log-probabilities from scipy, row by row."""
    dist = jax.tree.map(np.asarray, plain(dist))
    if isinstance(dist, Product):
        pairs = zip(dist.parts, action, strict=True)
        return sum(log_prob_by_hand(part, one) for part, one in pairs)
    action = np.asarray(action)
    if isinstance(dist, Beta):
        # scipy's own takes (1 + action)/2, which loses what is left to 1.
        of_x = special.xlog1py(dist.alpha - 1, action) + special.xlog1py(dist.beta - 1, -action)
        log_beta = special.betaln(dist.alpha, dist.beta)
        return (of_x - log_beta - (dist.alpha + dist.beta - 1) * np.log(2)).sum(-1)
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


def entropy_by_hand(dist):
    """[B] entropies from scipy: sums over all actions of a discrete distribution, and for a
    squashed Gaussian the integral of −p ln p over the action's logit, by the trapezoidal rule."""
    if isinstance(dist, Product):
        return sum(entropy_by_hand(part) for part in dist.parts)
    if isinstance(dist, DiagGaussian):
        return stats.norm.entropy(scale=np.exp(np.asarray(dist.log_std))).sum(-1)
    if isinstance(dist, Beta):
        entropy = stats.beta.entropy(np.asarray(dist.alpha), np.asarray(dist.beta))
        return (entropy + np.log(2)).sum(-1)
    if isinstance(dist, TanhGaussian):
        mean, std = np.asarray(dist.gaussian.mean), np.exp(np.asarray(dist.gaussian.log_std))
        u = mean + std * np.linspace(-12, 12, 4001)[:, None, None]
        log_density = stats.norm.logpdf(u, mean, std) + 2 * np.logaddexp(u, -u) - 2 * np.log(2)
        integrand = -stats.norm.pdf(u, mean, std) * log_density
        return np.sum(integrand * (u[1] - u[0]), axis=0).sum(-1)
    return stats.entropy(support(dist)[1], axis=0)


def kl_by_hand(p, q):
    """[B] values of KL(p‖q): sums over all actions, or the textbook form of continuous ones."""
    p, q = plain(p), plain(q)
    if isinstance(p, Product):
        return sum(map(kl_by_hand, p.parts, q.parts))
    if isinstance(p, DiagGaussian):
        m1, s1 = np.asarray(p.mean), np.exp(np.asarray(p.log_std))
        m2, s2 = np.asarray(q.mean), np.exp(np.asarray(q.log_std))
        return (np.log(s2 / s1) + (s1**2 + (m1 - m2) ** 2) / (2 * s2**2) - 0.5).sum(-1)
    if isinstance(p, Beta):
        a, b, c, d = map(np.asarray, (p.alpha, p.beta, q.alpha, q.beta))
        differences = (a - c) * special.psi(a) + (b - d) * special.psi(b)
        differences += (c + d - a - b) * special.psi(a + b)
        return (special.betaln(c, d) - special.betaln(a, b) + differences).sum(-1)
    return stats.entropy(support(p)[1], support(q)[1], axis=0)


def metric_by_hand(dist):
    """[B, φ, φ]: the textbook Fisher matrices of the distribution's own parameters."""
    dist = plain(dist)
    if isinstance(dist, Product):
        return _blocks([metric_by_hand(part) for part in dist.parts])
    if isinstance(dist, DiagGaussian):
        precision = np.exp(-2 * np.asarray(dist.log_std))
        return np.stack([np.diag([*row, *(2 * np.ones_like(row))]) for row in precision])
    if isinstance(dist, Beta):
        alpha, beta = np.asarray(dist.alpha), np.asarray(dist.beta)
        a, b, both = (special.polygamma(1, x) for x in (alpha, beta, alpha + beta))
        rows = zip(a, b, both, strict=True)
        return np.stack(
            [
                np.block([[np.diag(x - z), -np.diag(z)], [-np.diag(z), np.diag(y - z)]])
                for x, y, z in rows
            ]
        )
    if isinstance(dist, Bernoulli):
        p = special.expit(np.asarray(dist.logits))
        return np.stack([np.diag(row * (1 - row)) for row in p])
    parts = dist.parts if isinstance(dist, MultiCategorical) else (dist,)
    ps = [special.softmax(np.asarray(part.logits), axis=-1) for part in parts]
    return _blocks([np.stack([np.diag(row) - np.outer(row, row) for row in p]) for p in ps])


def _blocks(metrics):
    """Block-diagonal matrices, one a row."""
    return np.stack([linalg.block_diag(*row) for row in zip(*metrics, strict=True)])


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


def gae_by_hand(
    reward, value, next_value, terminated, truncated, valid, discount, gae_lambda, trace=None
):
    """Â_t = Σ_l (γλ)^l c̄_{t+1} … c̄_{t+l} δ_{t+l} within each episode."""
    advantage = np.zeros_like(reward)
    trace = np.ones_like(reward) if trace is None else trace
    for episode in episodes(terminated, truncated, valid):
        residuals = [
            reward[row] - value[row] + (0 if terminated[row] else discount * next_value[row])
            for row in episode
        ]
        for start, row in enumerate(episode):
            for later, residual in enumerate(residuals[start:]):
                passed = math.prod(trace[r] for r in episode[start + 1 : start + later + 1])
                advantage[row] += (discount * gae_lambda) ** later * passed * residual
    return advantage


def finished_by_hand(terminated, truncated, valid):
    """Whether a row is a transition of an episode that ends in the batch."""
    result = np.zeros_like(valid)
    for episode in episodes(terminated, truncated, valid):
        end = episode[-1]
        for row in episode:
            result[row] = terminated[end] or truncated[end]
    return result
