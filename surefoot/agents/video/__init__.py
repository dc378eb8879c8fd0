"""Episodes of an evaluation as a video."""

from surefoot.agents.video.video_recorder import Film as Film
from surefoot.agents.video.video_recorder import UnfilmedError as UnfilmedError
