"""Networks that map a batch of observations to a distribution."""

from surefoot.core.networks.base import Layers, Memoryless, Network
from surefoot.core.networks.heads import (
    BernoulliHead,
    CategoricalHead,
    GaussianHead,
    Head,
    MultiCategoricalHead,
    StateGaussianHead,
)
from surefoot.core.networks.mlp import MLP, Activation
from surefoot.core.networks.policy_and_critic import Critic, Policy, mlp_critic, mlp_policy

__all__ = [
    "Activation",
    "BernoulliHead",
    "CategoricalHead",
    "Critic",
    "GaussianHead",
    "Head",
    "Layers",
    "MLP",
    "Memoryless",
    "Network",
    "MultiCategoricalHead",
    "Policy",
    "StateGaussianHead",
    "mlp_critic",
    "mlp_policy",
]
