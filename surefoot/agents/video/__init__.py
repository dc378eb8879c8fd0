"""Episodes of an evaluation as a video."""

from surefoot.agents.video.video_recorder import UnfilmedError as UnfilmedError
from surefoot.agents.video.video_recorder import VideoRecorder as VideoRecorder
