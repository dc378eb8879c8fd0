"""What is said of a run's state while it trains, in words."""

from __future__ import annotations

from surefoot.runs.score import Scoring
from surefoot.training.iteration import Iteration


class StatusLine:
    """The words, from one iteration after the other."""

    def __init__(self) -> None:
        self.scoring = Scoring()
        self._evaluated: float | None = None
        self.compile_seconds = 0.0

    def add(self, iteration: Iteration) -> None:
        """One more iteration."""
        self.scoring.add(iteration.steps, iteration.episode_returns.tolist())
        self.compile_seconds += iteration.timing.compile
        if iteration.evaluation is not None:
            self._evaluated = iteration.evaluation.mean
            self.scoring.add_evaluation(iteration.steps, iteration.evaluation.mean)

    def told(self, iteration: Iteration) -> list[str]:
        """What is said after this iteration, the most important first."""
        metrics = iteration.metrics
        score = self.scoring.score
        if score.ended:
            mean = f"return {score.value:.1f}"
            if score.of != "episode" or not score.recent:
                mean += f" ({score.brief})"
        elif iteration.timing.collected:
            mean = "no finished episode yet"
        else:
            mean = f"objective {metrics['objective_after']:.3f}"
        parts = []
        if metrics["refused"]:
            parts += ["update REFUSED", "not finite"]
        elif metrics["learned_rows"] == 0:
            parts += ["NOTHING LEARNED", "no episode ended within the batch, raise horizon"]
        parts += [
            mean,
            f"{iteration.steps:,} steps",
            f"{iteration.timing.steps_per_s:,.0f} steps/s",
            f"KL {metrics['kl_mean']:.4f}",
        ]
        if "accepted" in metrics:
            # A share where several steps make an update.
            share = float(metrics["accepted"])
            told = {1.0: "step accepted", 0.0: "step REFUSED"}
            parts.append(told.get(share, f"{share:.0%} of steps accepted"))
        if self._evaluated is not None:
            parts.append(f"evaluated {self._evaluated:.1f}")
        return parts
