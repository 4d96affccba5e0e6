"""The fan-out of bench_sockets.py as it is usually written: Starlette, and `send_text` to one socket after the other.

    python starlette_sockets.py

Says the port on standard output; then, for each line `COUNT SIZE` on standard input, sends everybody so many texts of so
many bytes. uvicorn with its own choices, but for compression, which no client here asks for.
"""

from __future__ import annotations

import asyncio
import json
import socket
import sys

import uvicorn
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

CONNECTED: list[WebSocket] = []


async def follow(websocket: WebSocket) -> None:
    await websocket.accept()
    CONNECTED.append(websocket)
    try:
        while True:
            await websocket.receive_text()
    except WebSocketDisconnect:
        CONNECTED.remove(websocket)


async def obey(sock: socket.socket) -> None:
    print(json.dumps({"port": sock.getsockname()[1]}), flush=True)
    lines = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    while line := await lines.readline():
        count, size = map(int, line.split())
        for _ in range(count):
            text = json.dumps({"type": "alert", "data": "x" * (size - 29)})
            for websocket in CONNECTED:
                await websocket.send_text(text)


async def main() -> None:
    sock = socket.create_server(("127.0.0.1", 0), backlog=2048)
    app = Starlette(routes=[WebSocketRoute("/ws/v1", follow)])
    server = uvicorn.Server(uvicorn.Config(app, lifespan="off", log_level="error"))
    serving = asyncio.create_task(server.serve([sock]))
    await obey(sock)
    server.should_exit = True
    await serving


if __name__ == "__main__":
    import uvloop

    uvloop.run(main())
