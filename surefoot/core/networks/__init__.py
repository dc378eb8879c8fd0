"""Networks that map a batch of observations to a distribution."""

from surefoot.core.networks.heads import (
    BernoulliHead,
    BetaHead,
    CategoricalHead,
    GaussianHead,
    Head,
    MultiCategoricalHead,
    ProductHead,
    StateGaussianHead,
    TanhGaussianHead,
)
from surefoot.core.networks.mlp import MLP, Activation, Layers
from surefoot.core.networks.policy_and_critic import Critic, Policy

__all__ = [
    "Activation",
    "BernoulliHead",
    "BetaHead",
    "CategoricalHead",
    "Critic",
    "GaussianHead",
    "Head",
    "Layers",
    "MLP",
    "MultiCategoricalHead",
    "Policy",
    "ProductHead",
    "StateGaussianHead",
    "TanhGaussianHead",
]
