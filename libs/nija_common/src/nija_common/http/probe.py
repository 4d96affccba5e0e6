"""Asks a server on this machine whether it is well: the health check of images, which have no curl and need no shell.

    python -m nija_common.http.probe http://127.0.0.1:8000/livez

Ends with 0 where the answer is 200, else with 1 and the reason on standard error. It runs every few seconds in every
container, so it imports nothing but the standard library.
"""

from __future__ import annotations

import http.client
import sys
from urllib.parse import urlsplit

TIMEOUT_S = 4.0


def trouble(url: str) -> str | None:
    """Why this http URL does not answer 200; None where it does."""
    parts = urlsplit(url)
    if parts.scheme != "http" or parts.hostname is None:
        return f"not an http URL: {url}"
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=TIMEOUT_S)
    try:
        connection.request("GET", parts.path or "/")
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        return f"{url}: {error or type(error).__name__}"
    finally:
        connection.close()
    return None if status == http.client.OK else f"{url}: status {status}"


def main(arguments: list[str]) -> int:
    """Exit status: 0 well, 1 not, 2 wrong usage."""
    if len(arguments) != 1:
        sys.stderr.write("usage: python -m nija_common.http.probe URL\n")
        return 2
    reason = trouble(arguments[0])
    if reason is not None:
        sys.stderr.write(reason + "\n")
    return 0 if reason is None else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
