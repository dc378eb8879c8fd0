"""Networks that map a batch of observations to a distribution."""

from surefoot.core.networks.heads import (
    BernoulliHead,
    CategoricalHead,
    GaussianHead,
    Head,
    MultiCategoricalHead,
    StateGaussianHead,
)
from surefoot.core.networks.mlp import MLP, Activation, Layers
from surefoot.core.networks.policy_and_critic import Critic, Policy

__all__ = [
    "Activation",
    "BernoulliHead",
    "CategoricalHead",
    "Critic",
    "GaussianHead",
    "Head",
    "Layers",
    "MLP",
    "MultiCategoricalHead",
    "Policy",
    "StateGaussianHead",
]
