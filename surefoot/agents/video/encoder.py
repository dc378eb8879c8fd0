"""Frames to an MP4 file, one at a time, through ffmpeg: none is kept."""

from __future__ import annotations

import importlib.util
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType

import numpy as np
from jaxtyping import UInt8

from surefoot.common.errors import UsageError

_INSTALL = "pip install 'surefoot[video]'"


def find_ffmpeg() -> str:
    """The program that encodes. Raises `UsageError` where there is none."""
    if importlib.util.find_spec("imageio_ffmpeg") is None:
        raise UsageError(f"a video needs imageio-ffmpeg: {_INSTALL}")
    import imageio_ffmpeg

    try:
        return str(imageio_ffmpeg.get_ffmpeg_exe())
    except RuntimeError as error:
        raise UsageError(
            f"a video needs ffmpeg ({str(error).splitlines()[0]}): install ffmpeg, or set "
            "IMAGEIO_FFMPEG_EXE to its program"
        ) from None


class Encoder:
    """An H.264 video in an MP4 file, whatever the path ends in, for a `with` statement."""

    def __init__(self, path: Path, frame: UInt8[np.ndarray, "H W 3"], *, fps: float) -> None:
        """`frame` tells the size, and is not written."""
        self.shape, self.frames, self._path = frame.shape, 0, path
        height, width = _even(frame).shape[:2]
        # A file: a pipe that nobody reads stops the program once it is full.
        self._said = tempfile.TemporaryFile()  # noqa: SIM115
        self._process = subprocess.Popen(
            [
                *(find_ffmpeg(), "-y", "-loglevel", "error", "-nostdin"),
                *("-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}"),
                *("-r", f"{fps:g}", "-i", "pipe:0", "-an"),
                *("-c:v", "libx264", "-crf", "20", "-pix_fmt", "yuv420p"),
                *("-movflags", "+faststart", "-f", "mp4", str(path)),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=self._said,
        )

    def write(self, frame: UInt8[np.ndarray, "H W 3"]) -> None:
        """One more frame. Raises `OSError` with what ffmpeg said if it takes no more."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(_even(frame).tobytes())
        except BrokenPipeError:
            self._finish()
            raise
        self.frames += 1

    def __enter__(self) -> Encoder:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._said:
            if error is None:
                self._finish()
            elif self._process.poll() is None:
                self._process.kill()
                self._process.communicate()

    def _finish(self) -> None:
        self._process.communicate()
        if self._process.returncode:
            self._said.seek(0)
            lines = self._said.read().decode(errors="replace").strip().splitlines()
            reason = lines[-1] if lines else f"exit code {self._process.returncode}"
            raise OSError(0, f"ffmpeg: {reason}")


def _even(frame: UInt8[np.ndarray, "H W 3"]) -> UInt8[np.ndarray, "_ _ 3"]:
    """The frame, its last row or column twice where their number is odd: the colors of an H.264
    video lie on every other pixel."""
    odd = [(0, side % 2) for side in frame.shape[:2]]
    return np.pad(frame, (*odd, (0, 0)), mode="edge") if any(map(any, odd)) else frame
