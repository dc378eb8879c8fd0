"""Tianshou's TRPO and PPO: `run_training`, with its hook at the begin of every iteration.

Its TRPO fits the critic with steps on the whole batch, so twenty passes are twenty steps, where the
others take 320.
"""

import contextlib

import gymnasium
import torch
from clock import Done, clock_of, parser, report
from tianshou.algorithm import PPO, TRPO
from tianshou.algorithm.modelfree.reinforce import ProbabilisticActorPolicy
from tianshou.algorithm.optim import AdamOptimizerFactory
from tianshou.data import Collector, VectorReplayBuffer
from tianshou.env import DummyVectorEnv, SubprocVectorEnv
from tianshou.trainer import OnPolicyTrainerParams
from tianshou.utils.net.common import Net
from tianshou.utils.net.continuous import ContinuousActorProbabilistic, ContinuousCritic

METHODS = {"trpo": TRPO, "ppo_clip": PPO}
VECTORIZATIONS = {"dummy": DummyVectorEnv, "subproc": SubprocVectorEnv}
SETTINGS = {
    "trpo": {
        "gamma": 0.99,
        "gae_lambda": 0.95,
        "max_kl": 0.01,  # Ten iterations of conjugate gradient, damping 0.1: not options.
        "max_backtracks": 10,
        "backtrack_coeff": 0.8,
        "optim": AdamOptimizerFactory(lr=1e-3),
        "optim_critic_iters": 20,
    },
    "ppo_clip": {
        "gamma": 0.99,
        "gae_lambda": 0.95,
        "eps_clip": 0.2,
        "optim": AdamOptimizerFactory(lr=3e-4),
        "ent_coef": 0.0,
        "max_grad_norm": 0.5,
    },
}
LEARNING = {
    "trpo": {"batch_size": None, "update_step_num_repetitions": 1},
    "ppo_clip": {"batch_size": 64, "update_step_num_repetitions": 10},
}


def make(env_id):
    return gymnasium.make(env_id, disable_env_checker=True)


def normal(mean_and_std):
    return torch.distributions.Independent(torch.distributions.Normal(*mean_and_std), 1)


def tick(_epoch, steps):
    if steps > 0:
        clock.tick(steps)


if __name__ == "__main__":  # Worker processes import this file again.
    args = parser(
        algorithm="trpo", env="HalfCheetah-v5", vec="dummy", num_envs=8, horizon=256, threads=1
    ).parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    clock = clock_of(args)
    envs = VECTORIZATIONS[args.vec]([lambda: make(args.env) for _ in range(args.num_envs)])
    space, actions = envs.observation_space[0], envs.action_space[0]
    rows = args.num_envs * args.horizon

    def network():
        return Net(state_shape=space.shape, hidden_sizes=(64, 64), activation=torch.nn.Tanh)

    actor = ContinuousActorProbabilistic(
        preprocess_net=network(), action_shape=actions.shape, unbounded=True
    )
    torch.nn.init.constant_(actor.sigma_param, -0.5)
    policy = ProbabilisticActorPolicy(
        actor=actor,
        dist_fn=normal,
        action_space=actions,
        action_scaling=False,
        action_bound_method="clip",
    )
    method = METHODS[args.algorithm](
        policy=policy,
        critic=ContinuousCritic(preprocess_net=network()),
        **SETTINGS[args.algorithm],
    )
    training = OnPolicyTrainerParams(
        training_collector=Collector(method, envs, VectorReplayBuffer(rows, args.num_envs)),
        max_epochs=1,
        epoch_num_steps=rows * 16 * 300,
        collection_step_num_env_steps=rows,
        training_fn=tick,
        show_progress=False,
        verbose=False,
        **LEARNING[args.algorithm],
    )
    with contextlib.suppress(Done):
        method.run_training(training)
    envs.close()
    report(clock, ["tianshou", "torch", "numpy", "gymnasium", "mujoco"])
