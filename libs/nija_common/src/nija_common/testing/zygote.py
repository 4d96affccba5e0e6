"""A process that has imported a command once, and forks for each time the command is to run.

Tests start `nija` some hundred times, and importing it is most of what a start costs. A fork is a process like any
other: it has an environment, a folder and standard streams of its own, and is killed, stopped and waited for alike.
Run as a script: `zygote.py FD MODULE:FUNCTION PRELOADED,…`. Over the socket FD come requests, each a line of JSON
with three descriptors; back go `["started", pid]` and, when a child has ended, `["ended", pid, returncode]`. When the
socket closes, the children are killed: nothing outlives a test run.
"""

from __future__ import annotations

import importlib
import json
import os
import select
import signal
import socket
import sys
from typing import Any

LINE = 1 << 20


def main(fd: int, command: str, preload: str) -> None:
    """Serves until the socket closes; in a child, runs the command and returns."""
    module, function = command.split(":")
    for name in (module, *filter(None, preload.split(","))):
        importlib.import_module(name)
    connection = socket.socket(fileno=fd)
    request = serve(connection)
    if request is not None:
        connection.close()
        become(request)
        getattr(sys.modules[module], function)()


def serve(connection: socket.socket) -> tuple[dict[str, Any], list[int]] | None:
    """In a child: what it is to be. In the zygote itself None, when nobody asks any more."""
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.set_wakeup_fd(wake)
    children: set[int] = set()
    while True:
        readable: list[Any] = select.select([connection.fileno(), woken], [], [])[0]
        if woken in readable:
            os.read(woken, 4096)
            reap(connection, children)
        if connection.fileno() in readable:
            data, fds, _, _ = socket.recv_fds(connection, LINE, 3)
            while data and not data.endswith(b"\n"):
                data += connection.recv(LINE)
            if not data:
                for child in children:
                    os.kill(child, signal.SIGKILL)
                return None
            child = os.fork()
            if child == 0:
                signal.set_wakeup_fd(-1)
                os.close(woken)
                os.close(wake)
                return json.loads(data), list(fds)
            children.add(child)
            for each in fds:
                os.close(each)
            say(connection, "started", child)


def reap(connection: socket.socket, children: set[int]) -> None:
    """Tells of every child that has ended."""
    while children:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            return
        children.discard(pid)
        say(connection, "ended", pid, os.waitstatus_to_exitcode(status))


def say(connection: socket.socket, *words: object) -> None:
    connection.sendall(json.dumps(words).encode() + b"\n")


def become(request: tuple[dict[str, Any], list[int]]) -> None:
    """Streams, folder, environment and arguments of the command to be."""
    wanted, fds = request
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number, fd in enumerate(fds):
        os.dup2(fd, number)
        os.close(fd)
    os.chdir(wanted["cwd"])
    os.environ.clear()
    os.environ.update(wanted["env"])
    sys.argv = wanted["argv"]


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], sys.argv[3])
