"""Everything that moves the gateway: standings into store and memory, ended sessions into memory."""

from __future__ import annotations

from nija_common.events.identity import SessionRevoked, UserSnapshot
from nija_common.events.subscriptions import SubscriptionSnapshot
from nija_common.events.topics import SESSIONS, SUBSCRIPTIONS, USERS
from nija_common.runtime.manifest import broadcast, shared
from nija_common.security.revocations import KEPT_MS
from nija_gateway import reads
from nija_gateway.handlers import standings

FOLLOWED = (
    shared(USERS, {UserSnapshot: standings.keep_account}, reads={UserSnapshot: reads.standing}),
    shared(
        SUBSCRIPTIONS,
        {SubscriptionSnapshot: standings.keep_allowance},
        reads={SubscriptionSnapshot: reads.allowance},
    ),
    broadcast(USERS, {UserSnapshot: standings.see_account}),
    broadcast(SUBSCRIPTIONS, {SubscriptionSnapshot: standings.see_allowance}),
    broadcast(SESSIONS, {SessionRevoked: standings.see_revocation}, back_ms=KEPT_MS),
)
