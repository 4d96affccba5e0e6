"""Auth on one screen: who there is, how they sign in, which keys sign."""

from __future__ import annotations

from nija_auth import consumers, loops, store, wiring
from nija_auth.api import admin, auth
from nija_auth.domain.documents import Keyring, User
from nija_auth.handlers.keys import rewrapped
from nija_auth.handlers.snapshots import snapshot
from nija_auth.settings import AuthSettings
from nija_common.events.topics import ADMIN, AUDIT, MAIL, SESSIONS, USERS
from nija_common.runtime.manifest import Role, SealedIn, Service, StateOf

SERVICE = Service(
    name="auth",
    settings=AuthSettings,
    build=wiring.build,
    roles={
        "api": Role(routers=(auth.router, admin.router)),
        "consumer": Role(subscriptions=consumers.SUBSCRIPTIONS, loops=loops.LOOPS),
    },
    collections=store.COLLECTIONS,
    produces=(USERS, SESSIONS, ADMIN, MAIL, AUDIT),
    states=(StateOf(USERS, User, snapshot),),
    sealed=(SealedIn(Keyring, rewrapped, document_id=store.KEYRING),),
)
