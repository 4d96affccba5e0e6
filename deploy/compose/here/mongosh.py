#!/opt/wire/bin/python
"""The one question that docker-compose.yml's health check asks: is this a primary that takes writes? Arguments are ignored."""

from __future__ import annotations

import sys

from pymongo import MongoClient

with MongoClient[dict[str, object]](
    "mongodb://mongo:27017/?directConnection=true", serverSelectionTimeoutMS=5000
) as client:
    sys.exit(0 if client.admin.command("hello")["isWritablePrimary"] else 1)
