"""What other libraries call options and algorithms, and what that is here.

Whoever comes from Stable-Baselines3, CleanRL, Tianshou, Brax or RSL-RL is answered with the name of
this library's, from the command line and from Python alike.
"""

from __future__ import annotations

from collections.abc import Collection

from surefoot.common.errors import closest

#: Options of others, and the fields here that take their place: all of them that a method has.
_OPTIONS: dict[str, tuple[str, ...]] = {
    # Stable-Baselines3 and sb3-contrib.
    "total_timesteps": ("steps",),
    "n_timesteps": ("steps",),
    "timesteps": ("steps",),
    "n_envs": ("num_envs",),
    "n_steps": ("horizon",),
    "gamma": ("discount",),
    "batch_size": ("minibatch_size", "critic_minibatch_size"),
    "n_epochs": ("epochs", "critic_epochs"),
    "n_critic_updates": ("critic_epochs",),
    "learning_rate": ("learning_rate", "critic_learning_rate"),
    "clip_range": ("clip",),
    "ent_coef": ("entropy_coefficient",),
    "target_kl": ("max_kl", "target_kl"),
    "cg_max_steps": ("cg_steps",),
    "cg_damping": ("damping",),
    "line_search_shrinking_factor": ("decay",),
    "line_search_max_iter": ("tries",),
    "net_arch": ("hidden",),
    "log_std_init": ("log_std",),
    "norm_obs": ("normalize_observations",),
    "norm_reward": ("scale_rewards",),
    "eval_freq": ("evaluate_every",),
    "n_eval_episodes": ("evaluation_episodes",),
    "tensorboard_log": ("log",),
    # CleanRL.
    "num_steps": ("horizon",),
    "update_epochs": ("epochs", "critic_epochs"),
    "clip_coef": ("clip",),
    "track": ("log",),
    # Tianshou.
    "lr": ("learning_rate", "critic_learning_rate"),
    "eps_clip": ("clip",),
    "repeat_per_collect": ("epochs", "critic_epochs"),
    "update_step_num_repetitions": ("epochs", "critic_epochs"),
    "step_per_collect": ("horizon",),
    "training_num": ("num_envs",),
    "num_train_envs": ("num_envs",),
    "hidden_sizes": ("hidden",),
    "return_scaling": ("scale_rewards",),
    "reward_normalization": ("scale_rewards",),
    "optim_critic_iters": ("critic_epochs",),
    "backtrack_coeff": ("decay",),
    "max_backtracks": ("tries",),
    # Brax.
    "num_timesteps": ("steps",),
    "unroll_length": ("horizon",),
    "entropy_cost": ("entropy_coefficient",),
    "discounting": ("discount",),
    "clipping_epsilon": ("clip",),
    "num_updates_per_batch": ("epochs", "critic_epochs"),
    "policy_hidden_layer_sizes": ("hidden",),
    "value_hidden_layer_sizes": ("hidden",),
    "num_eval_envs": ("evaluation_episodes",),
    "num_evals": ("evaluate_every",),
    "max_devices_per_host": ("devices",),
    # RSL-RL.
    "desired_kl": ("target_kl", "max_kl"),
    "clip_param": ("clip",),
    "num_steps_per_env": ("horizon",),
    "num_learning_epochs": ("epochs", "critic_epochs"),
    # Of several, and of papers.
    "total_steps": ("steps",),
    "max_steps": ("steps",),
    "env_steps": ("steps",),
    "rollout_length": ("horizon",),
    "rollout_steps": ("horizon",),
    "clip_eps": ("clip",),
    "clip_ratio": ("clip",),
    "epsilon": ("clip",),
    "lam": ("gae_lambda",),
    "lambda": ("gae_lambda",),
    "lmbda": ("gae_lambda",),
    "gae_gamma": ("discount",),
    "entropy_coef": ("entropy_coefficient",),
    "entropy_coeff": ("entropy_coefficient",),
    "grad_clip": ("max_grad_norm",),
    "max_gradient_norm": ("max_grad_norm",),
    "delta": ("max_kl",),
    "kl_target": ("target_kl", "max_kl"),
    "policy_lr": ("learning_rate",),
    "pi_lr": ("learning_rate",),
    "vf_lr": ("critic_learning_rate",),
    "value_lr": ("critic_learning_rate",),
    "critic_lr": ("critic_learning_rate",),
    "vf_iters": ("critic_epochs",),
    "train_vf_iters": ("critic_epochs",),
    "hidden_size": ("hidden",),
    "output_dir": ("out",),
    "logdir": ("out",),
    "log_dir": ("out",),
    "save_path": ("out",),
    # Of Atari games: Gymnasium's, EnvPool's and Stable-Baselines3's.
    "frameskip": ("frame_skip",),
    "stack_num": ("frame_stack",),
    "stack_size": ("frame_stack",),
    "n_stack": ("frame_stack",),
    "episodic_life": ("terminal_on_life_loss",),
    "reward_clip": ("clip_rewards",),
    "clip_reward": ("clip_rewards",),
    "sticky_actions": ("repeat_action_probability",),
    "action_repeat_probability": ("repeat_action_probability",),
    "random_seed": ("seed",),
    "num_workers": ("num_envs",),
}

#: What there is nothing of here, and why.
_ABSENT: dict[str, str] = {
    "num_minibatches": "minibatch_size counts their rows, and not them",
    "vf_coef": "policy and critic share no parameters, and each has its own optimizer",
    "value_loss_coef": "policy and critic share no parameters, and each has its own optimizer",
    "clip_range_vf": "the critic's loss is not clipped",
    "clip_vloss": "the critic's loss is not clipped",
    "value_clip": "the critic's loss is not clipped",
    "normalize_advantage": "advantages are always standardized, over the whole batch",
    "norm_adv": "advantages are always standardized, over the whole batch",
    "advantage_normalization": "advantages are always standardized, over the whole batch",
    "anneal_lr": "PPO's rate falls linearly to 0, but that of ppo_adaptive_lr follows the KL",
    "target_kl": "this method stops no epoch early: ppo_kl and trpo keep to a KL",
    "policy": "hidden=(64, 64) gives the widths of policy and critic",
    "policy_kwargs": "hidden=(64, 64) gives the widths of policy and critic",
    "buffer_size": "there is no replay buffer",
    "learning_starts": "there is no replay buffer",
    "tau": "there is no target network",
    "train_freq": "there is no replay buffer",
    "use_sde": "there is no state-dependent exploration",
    "verbose": "progress=False shows no progress",
    "reward_scaling": "scale_rewards divides rewards by the running deviation of the return",
    "device": "JAX_PLATFORMS chooses where JAX computes",
    "cuda": "JAX_PLATFORMS chooses where JAX computes",
    "env_id": "the environment comes second, after the algorithm",
    "env": "the environment comes second, after the algorithm",
    "exp_name": "--out, or out=, is the run's folder",
}

#: Algorithms that learn from a replay buffer, or from a model.
_OFF_POLICY = "ddpg td3 sac dqn c51 qrdqn rainbow tqc redq droq crossq apex r2d2 her cql iql awac"
_MODELS = "dreamer dreamerv2 dreamerv3 muzero alphazero tdmpc tdmpc2 mbpo pets"
#: What others call the methods that there are.
_ALGORITHMS: dict[str, str] = {
    "ppo2": "ppo_clip",
    "ppo1": "ppo_kl",
    "a3c": "a2c",
    "pg": "reinforce",
    "vpg": "reinforce",
    "vanilla_pg": "reinforce",
    "policy_gradient": "reinforce",
    "natural_pg": "npg",
    "tnpg": "npg",
    "ars": "cma_es",
    "es": "cma_es",
    "cmaes": "cma_es",
    "vmpo": "v_mpo",
    "ppo_lag": "ppo_lagrangian",
    "ppolag": "ppo_lagrangian",
    "trpo_lag": "trpo_lagrangian",
    "trpolag": "trpo_lagrangian",
    "behavior_cloning": "bc",
    "behavioral_cloning": "bc",
    "imitation": "bc",
    "maskable_ppo": "ppo_clip",
    "recurrent_ppo": "ppo_clip",
    "ppo_lstm": "ppo_clip",
    "ppg": "ppo_clip",
    "trpo_gae": "trpo",
}


def option_hint(name: str, accepted: Collection[str], *, prefix: str = "") -> str:
    """What to say of an option that is not accepted: what it is called here, why there is none, or
    the closest of those that are; nothing where none is near. `prefix` is what names have before
    them where they are written, '--' for instance."""
    quote = "" if prefix else "'"
    key = name.lower().replace("-", "_")
    plain = {option.replace("-", "_"): option for option in accepted}
    here = [plain[option] for option in _OPTIONS.get(key, ()) if option in plain]
    if here:
        names = " and ".join(f"{quote}{prefix}{option}{quote}" for option in here)
        return f" It is called {names} here."
    if key in _ABSENT:
        return f" There is none: {_ABSENT[key]}."
    if key in _OPTIONS:
        return f" There is no {' and no '.join(_OPTIONS[key])} here."
    near = closest(prefix + name, [prefix + option for option in accepted])
    return near.replace("'", quote)


def algorithm_hint(name: str, accepted: Collection[str]) -> str:
    """What to say of an algorithm that there is not: what it is called here, that there is none of
    its kind, or the closest."""
    key = name.lower().replace("-", "_").replace(" ", "_")
    if key in accepted:
        return f" Did you mean {key!r}?"
    if key in _ALGORITHMS:
        return f" The nearest here is {_ALGORITHMS[key]!r}."
    if key.replace("_", "") in _OFF_POLICY.split():
        return (
            " That is an off-policy method, which learns from a replay buffer, and there is none "
            "here: with continuous actions try 'trpo' or 'ppo_clip'."
        )
    if key.replace("_", "") in _MODELS.split():
        return " That method learns a model, and there is none here: try 'trpo' or 'ppo_clip'."
    return closest(name, accepted)
