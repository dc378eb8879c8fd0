"""rejax's PPO on gymnax's CartPole-v1: `train`, compiled as its documentation does, sixteen
iterations a call as surefoot, no evaluation in between.

It has no schedule of the rate, clips gradients elementwise, and clips the value as well.
"""

import jax
from clock import Done, clock_of, parser, report
from rejax import PPO

PER_CALL = 16

args = parser(num_envs=8, horizon=256).parse_args()
clock = clock_of(args)
rows = args.num_envs * args.horizon
ppo = PPO.create(
    env="CartPole-v1",
    num_envs=args.num_envs,
    num_steps=args.horizon,
    gamma=0.99,
    gae_lambda=0.95,
    clip_eps=0.2,
    learning_rate=3e-4,
    num_epochs=10,
    num_minibatches=rows // 64,
    ent_coef=0.0,
    max_grad_norm=0.5,
    agent_kwargs={"hidden_layer_sizes": (64, 64), "activation": "tanh"},
    total_timesteps=PER_CALL * rows,
    eval_freq=PER_CALL * rows,
    skip_initial_evaluation=True,
).replace(eval_callback=lambda algorithm, state, key: ())
state = jax.jit(ppo.init_state)(jax.random.key(0))
train = jax.jit(lambda state: ppo.train(train_state=state)[0])
try:
    while True:
        state = jax.block_until_ready(train(state))
        clock.tick(int(state.global_step))
except Done:
    report(clock, ["rejax", "gymnax", "jax", "flax", "numpy"])
