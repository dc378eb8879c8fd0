"""Small problems for numeric tests: distributions, policies, batches, streams of transitions."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from surefoot.core.data.types import Batch
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
from surefoot.core.networks import (
    BernoulliHead,
    BetaHead,
    CategoricalHead,
    GaussianHead,
    Head,
    MultiCategoricalHead,
    ProductHead,
    TanhGaussianHead,
    mlp_policy,
)

KEY = jax.random.key(0)
OBS = 3
KINDS = [
    "categorical",
    "multicategorical",
    "bernoulli",
    "gaussian",
    "tanh_gaussian",
    "beta",
    "masked",
    "product",
]
#: Of the four alternatives of "masked".
MASK = np.asarray([True, False, True, True])
#: Those that every run of the tests has where no formula of a distribution is under test: one with
#: one array of parameters, one with two.
FEW = ["categorical", "gaussian"]


class MaskedHead(Head):
    """The same alternatives are valid in every state."""

    head: Head

    @property
    def size(self):
        return self.head.size

    def __call__(self, output):
        return self.head(output).masked(jnp.broadcast_to(jnp.asarray(MASK), output.shape))


HEADS = {
    "categorical": lambda: CategoricalHead(4),
    "multicategorical": lambda: MultiCategoricalHead((3, 2)),
    "bernoulli": lambda: BernoulliHead(3),
    "gaussian": lambda: GaussianHead(2),
    "tanh_gaussian": lambda: TanhGaussianHead(GaussianHead(2)),
    "beta": lambda: BetaHead(2),
    "masked": lambda: MaskedHead(CategoricalHead(4)),
    "product": lambda: ProductHead(
        (CategoricalHead(3), ProductHead((GaussianHead(1), BernoulliHead(1))))
    ),
}


def make_distribution(kind, seed, batch=(5,)):
    """A batch of distributions with parameters of order one."""
    rng = np.random.default_rng(seed)

    def normal(size):
        return jnp.asarray(rng.normal(size=(*batch, size)))

    if kind == "categorical":
        return Categorical(normal(4))
    if kind == "multicategorical":
        return MultiCategorical((Categorical(normal(3)), Categorical(normal(2))))
    if kind == "bernoulli":
        return Bernoulli(normal(3))
    if kind == "beta":
        excess = np.exp(0.5 * rng.normal(size=(2, *batch, 2)))
        return Beta(*map(jnp.asarray, 1.5 + excess))
    if kind == "masked":
        return Categorical(normal(4)).masked(jnp.asarray(np.broadcast_to(MASK, (*batch, 4))))
    if kind == "product":
        mixed = DiagGaussian(normal(1), 0.5 * normal(1)), Bernoulli(normal(1))
        return Product((Categorical(normal(3)), Product(mixed)))
    gaussian = DiagGaussian(normal(2), 0.5 * normal(2))
    return gaussian if kind == "gaussian" else TanhGaussian(gaussian)


@jax.jit
def forward(policy, obs):
    return policy(obs)


@jax.jit
def sample(dist, key):
    return dist.sample(key)


def drawn(dist, rng):
    """An action of each distribution, by NumPy: JAX compiles a program for every shape."""
    if isinstance(dist, Masked):
        return drawn(dist.of, rng)
    if isinstance(dist, TanhGaussian):
        return drawn(dist.gaussian, rng)
    if isinstance(dist, Product):
        return tuple(drawn(part, rng) for part in dist.parts)
    if isinstance(dist, Beta):
        x = rng.beta(np.asarray(dist.alpha), np.asarray(dist.beta))
        return jnp.asarray(2 * x - 1, dist.alpha.dtype)
    if isinstance(dist, MultiCategorical):
        return jnp.asarray(np.stack([drawn(part, rng) for part in dist.parts], axis=-1))
    if isinstance(dist, DiagGaussian):
        mean, std = np.asarray(dist.mean), np.exp(np.asarray(dist.log_std))
        return jnp.asarray(mean + std * rng.normal(size=mean.shape), mean.dtype)
    logits = np.asarray(dist.logits)
    if isinstance(dist, Bernoulli):
        return jnp.asarray(rng.logistic(size=logits.shape) < logits, jnp.int32)
    return jnp.asarray(np.argmax(logits + rng.gumbel(size=logits.shape), axis=-1))


def make_policy(kind, seed=0, *, hidden=(4,), near=None, distance=0.3):
    """A policy with all parameters of order one: unlike a fresh one it depends on the state, has
    biases, and a σ of its own for each action dimension. With `near`, that policy perturbed."""
    rng = np.random.default_rng(seed)
    if near is not None:
        return jax.tree.map(
            lambda x: jnp.asarray(np.asarray(x) + distance * rng.normal(size=x.shape), x.dtype),
            near,
        )
    blank = eqx.filter_eval_shape(lambda: mlp_policy(KEY, OBS, HEADS[kind](), hidden=hidden))
    return jax.tree.map(lambda x: jnp.asarray(0.6 * rng.normal(size=x.shape), x.dtype), blank)


def make_batch(policy, seed=0, *, rows=16, **fields):
    """Rows sampled from `policy`, a third of them without weight."""
    rng = np.random.default_rng([seed, 1])
    obs = jnp.asarray(rng.normal(size=(rows, OBS)))
    old = forward(policy, obs)
    batch = Batch(
        obs=obs,
        action=drawn(old, rng),
        old=old,
        advantage=jnp.asarray(rng.normal(size=rows)),
        weight=jnp.asarray(np.arange(rows) % 3 != 1, obs.dtype),
        progress=jnp.asarray(0.25),
    )
    return batch._replace(**fields)


def vector(tree):
    """All parameters, or a direction, as one NumPy vector."""
    leaves = jax.tree.leaves(eqx.filter(tree, eqx.is_inexact_array))
    return np.concatenate([np.asarray(leaf).ravel() for leaf in leaves])


def unraveled(like, v):
    """The tree of the structure of `like` whose `vector` is `v`."""
    leaves, structure = jax.tree.flatten(eqx.filter(like, eqx.is_inexact_array))
    ends = np.cumsum([leaf.size for leaf in leaves])
    parts = [v[end - x.size : end].reshape(x.shape) for x, end in zip(leaves, ends, strict=True)]
    return jax.tree.unflatten(structure, parts)


def normalized(weight):
    weight = np.asarray(weight)
    return weight / weight.sum()


def stream(seed, T=24, N=5):
    """Random rewards and values in which some episodes end by either flag or by both, and every
    other end is followed by a row of garbage that is no transition; there are such rows within
    episodes too, the rest of which was lost."""
    rng = np.random.default_rng(seed)
    reward, value, next_value = rng.normal(size=(3, T, N))
    terminated, truncated = rng.random((2, T, N)) < 0.12
    valid = np.ones((T, N), bool)
    for n in range(N):
        # The first row can be the dummy one of an episode that ended in the batch before.
        valid[0, n] = rng.random() < 0.7
        for t in range(1, T):
            ended = valid[t - 1, n] and (terminated[t - 1, n] or truncated[t - 1, n])
            valid[t, n] = not (ended and rng.random() < 0.5)
    valid &= np.random.default_rng(100 + seed).random((T, N)) > 0.08
    reward[~valid] = 1e6
    value[~valid] = -1e6
    next_value[~valid] = np.nan
    return reward, value, next_value, terminated, truncated, valid


def random_policies(seed, *shape):
    logits = np.random.default_rng(seed).normal(size=shape)
    weights = np.exp(2 * logits)
    return weights / weights.sum(axis=-1, keepdims=True)


def chosen(rng, p):
    """One index a row of p."""
    return (rng.random(len(p))[:, None] > p.cumsum(axis=-1)).sum(axis=-1).clip(0, p.shape[-1] - 1)
