"""The Python client of the NIJA platform.

from nija_sdk import NIJAClient

client = NIJAClient(api_key="your_jwt_token")
client.trading.start(broker="coinbase", paper_trading=True)
positions = client.account.positions()
"""

from nija_sdk.calls import OMITTED
from nija_sdk.client import AsyncNIJAClient, NIJAClient
from nija_sdk.errors import (
    APIError,
    AuthenticationFailed,
    BadRequest,
    Conflict,
    ConnectionFailed,
    NIJAError,
    NotFound,
    PaymentRequired,
    PermissionDenied,
    RateLimited,
    ServerError,
    UnexpectedAnswer,
)
from nija_sdk.records import Record

__all__ = [
    "OMITTED",
    "APIError",
    "AsyncNIJAClient",
    "AuthenticationFailed",
    "BadRequest",
    "Conflict",
    "ConnectionFailed",
    "NIJAClient",
    "NIJAError",
    "NotFound",
    "PaymentRequired",
    "PermissionDenied",
    "RateLimited",
    "Record",
    "ServerError",
    "UnexpectedAnswer",
]
