"""What memories, masks, mixed actions and pictures are for: what is learned, and how fast.

    python -m benchmarks.policies run [--only TASK …]
    python -m benchmarks.policies table
    python -m benchmarks.policies pong-rate [--cycles 6] [--seconds 60] [--peers PYTHON]
    python -m benchmarks.policies minatar [--methods ppo_clip acktr trpo] [--seeds 0 1 2]

`run` trains the tasks of `tasks.py`; `table` prints its rows. `pong-rate` has PPO's training loops
on Pong work in turn, surefoot's and Stable-Baselines3's, and prints their rates. `minatar` trains
on MinAtar's Breakout. All leave rows as JSON in `--results`, and go on where they were stopped.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.policies import case_runs, minatar_runs, pong_rate
from benchmarks.policies.cases import TASKS
from benchmarks.speed.cases import INTERPRETERS
from surefoot.common.errors import UsageError

RESULTS = Path(__file__).parent / "results"


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        prog="python -m benchmarks.policies",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = made.add_subparsers(dest="command", required=True)
    cases = commands.add_parser("run", help="what is learned with memories, masks, mixed actions")
    cases.add_argument("--only", nargs="+", choices=[*TASKS], default=[*TASKS], metavar="TASK")
    cases.add_argument("--results", type=Path, default=RESULTS)
    shown = commands.add_parser("table", help="print the rows of run")
    shown.add_argument("--results", type=Path, default=RESULTS)
    names = [name for name, *_ in pong_rate.CONTESTANTS]
    rate = commands.add_parser("pong-rate", help="steps a second of PPO on Pong")
    rate.add_argument("--contestants", nargs="+", choices=names, default=names)
    rate.add_argument("--cycles", type=int, default=6, help="shares of each contestant")
    rate.add_argument("--seconds", type=float, default=60.0, help="of a share, at least")
    rate.add_argument("--peers", type=Path, default=INTERPRETERS["peers"], help="their Python")
    rate.add_argument("--results", type=Path, default=RESULTS)
    games = commands.add_parser("minatar", help="what is learned on MinAtar's Breakout")
    methods = list(minatar_runs.STEPS)
    games.add_argument("--methods", nargs="+", choices=methods, default=methods)
    games.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    games.add_argument("--steps", type=int, help="of every run, instead of its method's")
    games.add_argument("--results", type=Path, default=RESULTS)
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    args = parser().parse_args(arguments)
    try:
        if args.command == "run":
            case_runs.run(args.results, args.only)
            return 0
        if args.command == "table":
            case_runs.table(args.results)
            return 0
        if args.command == "pong-rate":
            return pong_rate.run(
                args.contestants,
                args.results,
                args.peers,
                cycles=args.cycles,
                seconds=args.seconds,
            )
        return minatar_runs.run(args.methods, args.seeds, args.results, steps=args.steps)
    except UsageError as error:
        print(f"{parser().prog}: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
