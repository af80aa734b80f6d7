"""One service as a process of its own: the installed `cordboard` command with nothing but environment variables."""

import os
import signal
import sys
from pathlib import Path
from subprocess import Popen
from typing import Self

COMMAND = str(Path(sys.executable).with_name("cordboard"))
PATIENCE_S = 60.0


class Service:
    """One process. `kill` is -9; `stop` is SIGTERM and must end with 0."""

    def __init__(self, name: str, arguments: tuple[str, ...], env: dict[str, str], folder: Path) -> None:
        self.name = name
        self.ops = f"http://{env['CORDBOARD_OPS_BIND']}"
        self._arguments = arguments
        self._env = env
        self._folder = folder
        self._process: Popen[bytes] | None = None

    def start(self) -> Self:
        """Start it, or start it again."""
        env = {name: value for name, value in os.environ.items() if not name.startswith("CORDBOARD_")}
        with (self._folder / f"{self.name}.log").open("ab") as log:
            self._process = Popen(
                [COMMAND, *self._arguments], env={**env, **self._env}, cwd=self._folder, stdout=log, stderr=log
            )
        return self

    def set(self, name: str, value: str) -> None:
        """Set an environment variable for the next start."""
        self._env[name] = value

    def kill(self) -> None:
        """-9: nothing is said, nothing is finished."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def stop(self) -> int:
        """SIGTERM; gives the exit code."""
        if self._process is None or self._process.poll() is not None:
            return self._process.returncode if self._process is not None else 0
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(20)

    def signal(self, number: int) -> None:
        """Send it a signal. Nothing happens to one that has ended."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(number)

    @property
    def pid(self) -> int | None:
        """The process id of its latest start."""
        return self._process.pid if self._process is not None else None

    def ends_with(self) -> int:
        """Wait until it ends by itself; gives the exit code."""
        assert self._process is not None
        return self._process.wait(PATIENCE_S)

    @property
    def log_file(self) -> Path:
        """What it wrote, over all its starts."""
        return self._folder / f"{self.name}.log"

    def tail(self) -> str:
        """The last of what it wrote."""
        return self.log_file.read_text()[-3000:]

    @property
    def dead(self) -> bool:
        """Whether it has ended."""
        return self._process is not None and self._process.poll() is not None
