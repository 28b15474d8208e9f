"""Child processes that never outlive us: started with a log, waited for until ready, stopped in order, watched.

A demo or a fault test starts half a dozen servers. Whatever happens to the supervisor, SIGKILL included, none of them
may be left: see ``leash``.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self, TypeAlias

import httpx2

_LEASH = Path(__file__).with_name("leash.py")
_LEASH_MARGIN_SECONDS = 5.0
_POLL_SECONDS = 0.02
_HTTP_TIMEOUT_SECONDS = 2.0
_LOG_LINES = 20
_PORTS = (10_000, 32_000)

Probe: TypeAlias = Callable[[], Awaitable[bool]]
"""Answers whether a server is ready now; must not raise while it is not."""


class ChildError(Exception):
    """A child process did not do what was asked of it. The message names it and ends with its last log lines."""


class ChildDiedError(ChildError):
    """A child process ended though nobody asked it to."""


class Child:
    """One leashed program with its own log file.

    ``env`` is added to ours. ``pass_fds`` stay open in the leash, not in the program, for as long as the program lives:
    a lock held by such a descriptor is a lock on the program's life. ``remove`` is a directory that the leash removes
    after the program's end.
    """

    def __init__(  # noqa: PLR0913 keyword-only choices, each with a default
        self,
        name: str,
        argv: Sequence[str | os.PathLike[str]],
        *,
        log: Path,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        stop_signal: signal.Signals = signal.SIGTERM,
        grace_seconds: float = 10.0,
        pass_fds: Sequence[int] = (),
        remove: Path | None = None,
    ) -> None:
        self.name = name
        self.log = log
        self.stopping = False
        self._argv = [os.fspath(part) for part in argv]
        self._env = {**os.environ, **(env or {})}
        self._cwd = cwd
        self._stop_signal = stop_signal
        self._grace_seconds = grace_seconds
        self._pass_fds = pass_fds
        self._remove = remove
        self._log_start = 0
        self._process: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int:
        """Process id of the leash; the program is its only child."""
        return self._started.pid

    @property
    def _started(self) -> asyncio.subprocess.Process:
        if self._process is None:
            raise ChildError(f"{self.name} was not started: call start() first.")
        return self._process

    async def start(self) -> None:
        """Start the program; its output is appended to the log."""
        self.log.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        leash: list[str] = [sys.executable, "-I", "-S", str(_LEASH)]
        leash += ["--stop-signal", str(int(self._stop_signal)), "--grace-seconds", str(self._grace_seconds)]
        leash += ["--remove", str(self._remove)] if self._remove else []
        with self.log.open("ab") as log:
            self._log_start = log.tell()
            self._process = await asyncio.create_subprocess_exec(
                *leash,
                "--",
                *self._argv,
                stdin=asyncio.subprocess.PIPE,
                stdout=log,
                stderr=log,
                env=self._env,
                cwd=self._cwd,
                pass_fds=self._pass_fds,
                start_new_session=True,  # Ctrl-C in a terminal is for the supervisor, which stops in order
            )

    async def wait(self) -> int:
        """Return the program's exit code, once it has ended; 128 + N when signal N ended it."""
        code = await self._started.wait()
        return code if code >= 0 else 128 - code

    async def wait_ready(self, ready: Probe | str, timeout_seconds: float) -> None:
        """Return when the probe says yes, or the URL answers 200.

        Raises:
            ChildDiedError: the program ended first.
            ChildError: it was not ready in time.

        """
        ended = asyncio.create_task(self.wait())
        probing = asyncio.create_task(_until(ready) if callable(ready) else _until_http_200(ready))
        try:
            await asyncio.wait({ended, probing}, timeout=timeout_seconds, return_when=asyncio.FIRST_COMPLETED)
            if ended.done():
                raise self.death(ended.result())
            if not probing.done():
                raise ChildError(f"{self.name} was not ready within {timeout_seconds:g} s.{self._last_lines()}")
            probing.result()
        finally:
            for task in (ended, probing):
                task.cancel()
            # A probe may sit in a connection attempt that takes no notice of being cancelled.
            await asyncio.wait({ended, probing}, timeout=1)

    async def stop(self) -> None:
        """Ask the program to end, kill it when its grace is over, and return when it is gone. Harmless when ended."""
        self.stopping = True
        if self._process is None:
            return
        if self._process.stdin:
            self._process.stdin.close()
        try:
            await asyncio.wait_for(self.wait(), self._grace_seconds + _LEASH_MARGIN_SECONDS)
        except TimeoutError:
            self._process.kill()  # the program follows its leash
            await self.wait()

    def death(self, code: int) -> ChildDiedError:
        """Describe as an error this child's unasked end with that exit code."""
        cause = f"was ended by {_signal_name(code - 128)}" if code > 128 else f"ended with exit code {code}"
        return ChildDiedError(f"{self.name} {cause}.{self._last_lines()}")

    def _last_lines(self) -> str:
        with self.log.open("rb") as log:
            log.seek(self._log_start)
            lines = log.read().decode(errors="replace").splitlines()[-_LOG_LINES:]
        return "\n".join([f" Its last lines, from {self.log}:", *lines]) if lines else f" {self.log} says nothing."


class Server(Protocol):
    """Something that runs as one child and knows by itself when it is ready, such as PostgreSQL."""

    @property
    def child(self) -> Child: ...

    async def start(self) -> None: ...

    async def stop(self) -> None: ...


class Supervisor:
    """Starts children in order and stops them in reverse; ``async with`` it.

    ``died`` gets the error of the first child that ends unasked, so that a command can wait for it beside its own work.
    """

    died: asyncio.Future[ChildDiedError]

    def __init__(self, state_dir: Path) -> None:
        self._logs = state_dir / "logs"
        self._stops = AsyncExitStack()
        self._watches: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        self.died = asyncio.get_running_loop().create_future()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def start(  # noqa: PLR0913 keyword-only choices
        self,
        name: str,
        argv: Sequence[str | os.PathLike[str]],
        *,
        ready: Probe | str,
        env: Mapping[str, str] | None = None,
        timeout_seconds: float = 30.0,
        grace_seconds: float = 10.0,
    ) -> Child:
        """Start a program and wait until it is ready; its log is ``logs/<name>.log`` in the state directory.

        Args:
            name: what to call it in messages.
            argv: the program and its arguments.
            ready: a probe, or a URL that answers 200 when the program is ready.
            env: variables added to ours.
            timeout_seconds: time to become ready.
            grace_seconds: time between SIGTERM and SIGKILL when it is stopped.

        Raises:
            ChildDiedError: it ended before it was ready.
            ChildError: it was not ready in time.

        """
        child = Child(name, argv, log=self._logs / f"{name}.log", env=env, grace_seconds=grace_seconds)
        self._stops.push_async_callback(child.stop)
        await child.start()
        await child.wait_ready(ready, timeout_seconds)
        self._watch(child)
        return child

    async def serve(self, server: Server) -> None:
        """Start a server and keep it with the other children."""
        self._stops.push_async_callback(server.stop)
        await server.start()
        self._watch(server.child)

    async def stop(self) -> None:
        """Stop every child, last started first. Nothing that they started is left."""
        await self._stops.aclose()
        await asyncio.gather(*self._watches)
        self._watches.clear()

    def _watch(self, child: Child) -> None:
        self._watches.append(asyncio.create_task(self._report_death(child)))

    async def _report_death(self, child: Child) -> None:
        code = await child.wait()
        if not child.stopping and not self.died.done():
            self.died.set_result(child.death(code))


def free_ports(count: int) -> tuple[int, ...]:
    """Distinct loopback TCP ports that were free a moment ago.

    Below the range from which the kernel takes ports for outgoing connections, so that none of those is faster than
    the server the port is meant for; and drawn at random, so that two stacks starting at once do not meet.
    """
    draw = random.SystemRandom()
    sockets: dict[int, socket.socket] = {}
    try:
        while len(sockets) < count:
            port = draw.randrange(*_PORTS)
            with contextlib.suppress(OSError):
                sockets.setdefault(port, socket.create_server(("127.0.0.1", port)))
        return tuple(sockets)
    finally:
        for each in sockets.values():
            each.close()


def port_is_free(port: int) -> bool:
    """Whether nobody listens on this loopback TCP port now."""
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True


async def _until(probe: Probe) -> None:
    while not await probe():  # noqa: ASYNC110 another process sets no event of ours
        await asyncio.sleep(_POLL_SECONDS)


async def _until_http_200(url: str) -> None:
    # trust_env: a proxy in the environment must not be asked for our own loopback servers.
    async with httpx2.AsyncClient(trust_env=False, timeout=_HTTP_TIMEOUT_SECONDS) as client:

        async def answers() -> bool:
            try:
                return (await client.get(url)).status_code == 200
            except httpx2.TransportError:
                return False

        await _until(answers)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
