"""Episodes of an evaluation as a video, or in a window."""

from surefoot.agents.video.video_recorder import UnfilmedError as UnfilmedError
from surefoot.agents.video.video_recorder import VideoRecorder as VideoRecorder
from surefoot.agents.video.window import open_window as open_window
