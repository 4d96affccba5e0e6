"""Everybody who is connected to this process, and what they follow: the memory that broadcasts move.

Costs nothing for users without a socket. No method waits or sends: news go into outboxes, and each connection
empties its own, so nobody waits for somebody else.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from nija_common.errors import ErrorCode, NijaError
from nija_common.events.identity import SessionRevoked, UserSnapshot
from nija_common.security.tokens import Claims, invalid_token
from nija_notifier.domain.alerts import Alarms, Alert
from nija_notifier.domain.messages import Channel, error_frame
from nija_notifier.domain.outbox import Outbox, Waiting
from nija_notifier.domain.positions import LivePosition, Mark, Market, OpenPosition
from nija_notifier.domain.recent import Recent
from nija_notifier.domain.refusals import Refusals
from nija_notifier.domain.trade_updates import TradeUpdate

REFUSED = 4401
TOO_MANY = 4429
GOING_AWAY = 1001

AUTH_WITHIN_S = 10.0
SOCKETS_A_USER = 5


class Connection:
    """One socket: whose it is (nobody's until it has signed in), what it follows, what it is still to be told."""

    __slots__ = ("accepted_at_s", "channels", "claims", "outbox", "trades_after")

    def __init__(self, outbox: Outbox, accepted_at_s: float) -> None:
        self.outbox = outbox
        self.accepted_at_s = accepted_at_s
        self.claims: Claims | None = None
        self.channels: set[Channel] = set()
        self.trades_after: int | None = None
        """Trade updates after this offset are told as they come; None while it is told what it has missed."""

    def refuse(self, error: NijaError, code: int = REFUSED) -> None:
        """Tells why, then closes."""
        self.outbox.say(Waiting("answers", error_frame(error)))
        self.outbox.close(code, error.message)


class Book:
    """The open positions of one user whom somebody looks at. `complete` once the read model has been merged in."""

    __slots__ = ("_ended", "complete", "positions", "user_id")

    def __init__(self, user_id: str) -> None:
        self.user_id = user_id
        self.positions: dict[str, LivePosition] = {}
        self.complete = False
        self._ended: set[str] = set()

    def ended(self, position_id: str) -> bool:
        return position_id in self._ended

    def end(self, position_id: str) -> LivePosition | None:
        """Takes a position out. Until the read model is merged in, its end is remembered, since that may lag behind."""
        if not self.complete:
            self._ended.add(position_id)
        return self.positions.pop(position_id, None)

    def merged(self) -> None:
        self.complete = True
        self._ended.clear()


class User:
    """The connections of one user, and the book while one of them follows `positions`."""

    __slots__ = ("book", "connections")

    def __init__(self) -> None:
        self.connections: set[Connection] = set()
        self.book: Book | None = None

    def followers(self, channel: Channel) -> Sequence[Connection]:
        return [c for c in self.connections if channel in c.channels]


class Hub:
    """The registry. All times are given: `now_ms` UTC milliseconds, `now_s` monotonic seconds."""

    def __init__(self) -> None:
        self.refusals = Refusals()
        self.recent = Recent()
        self.alarms = Alarms()
        self.draining = False
        self._strangers: set[Connection] = set()
        self._alerted: set[Connection] = set()
        self._users: dict[str, User] = {}
        self._marks: dict[Market, Mark] = {}
        self._watched: dict[Market, dict[str, LivePosition]] = {}

    # Connections

    def connected(self, connection: Connection) -> None:
        """A socket has been accepted; it has ten seconds to sign in."""
        self._strangers.add(connection)
        if self.draining:
            connection.outbox.close(GOING_AWAY, "The server is going away; connect again.")

    def signed_in(self, connection: Connection, claims: Claims) -> NijaError | None:
        """Registers, then checks: an end of the session that comes from here on finds the connection.

        Answers why it was refused (and closes it), or None. Also renews the token of a connection.
        """
        before = connection.claims
        if before is not None and before.user_id != claims.user_id:
            error = invalid_token("This connection belongs to somebody else. Open another one.")
            connection.refuse(error)
            return error
        user = self._users.setdefault(claims.user_id, User())
        connection.claims = claims
        user.connections.add(connection)
        self._strangers.discard(connection)
        refusal = self.refusals.refusal(claims)
        if refusal is not None:
            connection.refuse(refusal)
            return refusal
        if sum(1 for other in user.connections if other.outbox.closing is None) > SOCKETS_A_USER:
            error = NijaError(
                ErrorCode.RATE_LIMIT_EXCEEDED,
                f"You have {SOCKETS_A_USER} open connections already. Close one of them first.",
            )
            connection.refuse(error, TOO_MANY)
            return error
        return None

    def disconnected(self, connection: Connection) -> None:
        """Forgets the connection, and whatever only it looked at."""
        self._strangers.discard(connection)
        self._alerted.discard(connection)
        claims = connection.claims
        if claims is None:
            return
        self.unfollow(connection, "positions")
        user = self._users[claims.user_id]
        user.connections.discard(connection)
        if not user.connections:
            del self._users[claims.user_id]

    def look_at_deadlines(self, now_ms: int, now_s: float) -> None:
        """Closes who has not signed in in time, and whose token has expired."""
        for connection in self._strangers:
            if now_s - connection.accepted_at_s >= AUTH_WITHIN_S:
                connection.refuse(invalid_token("No sign-in within 10 seconds. Connect again and send `auth` first."))
        expired = NijaError(ErrorCode.TOKEN_EXPIRED, "The access token has expired. Refresh it and connect again.")
        for connection in self._everybody():
            if connection.claims is not None and connection.claims.expires_at * 1000 <= now_ms:
                connection.refuse(expired)

    def drain(self) -> None:
        """Closes every connection with 1001, and those that still come."""
        self.draining = True
        for connection in [*self._strangers, *self._everybody()]:
            connection.outbox.close(GOING_AWAY, "The server is going away; connect again.")

    def _everybody(self) -> Iterable[Connection]:
        return (connection for user in self._users.values() for connection in user.connections)

    def connections_of(self, user_id: str) -> frozenset[Connection]:
        """The signed-in connections of a user to this process."""
        user = self._users.get(user_id)
        return frozenset(user.connections if user else ())

    @property
    def open_connections(self) -> int:
        return len(self._strangers) + sum(len(user.connections) for user in self._users.values())

    # Sessions

    def session_ended(self, event: SessionRevoked, at_ms: int) -> None:
        self.refusals.session_ended(event, at_ms)
        self._check(event.user_id)

    def user_changed(self, event: UserSnapshot, at_ms: int) -> None:
        self.refusals.user_changed(event, at_ms)
        self._check(event.user_id)

    def _check(self, user_id: str) -> None:
        user = self._users.get(user_id)
        for connection in user.connections if user else ():
            refusal = None if connection.claims is None else self.refusals.refusal(connection.claims)
            if refusal is not None:
                connection.refuse(refusal)

    # Channels

    def follow(self, connection: Connection, channel: Channel) -> Book | None:
        """Adds the channel.

        `positions` begins with what is known, and the answer is the user's book if it wants loading; `alerts` begins
        with what is wrong now; `trades` tells what comes from here on (see `go_live`).
        """
        assert connection.claims is not None
        connection.channels.add(channel)
        if channel == "trades":
            connection.trades_after = -1
        elif channel == "alerts":
            self._alerted.add(connection)
            for alert in self.alarms.now(connection.claims.user_id):
                connection.outbox.say(Waiting("alerts", alert.frame))
        if channel != "positions":
            return None
        user = self._users[connection.claims.user_id]
        if user.book is None:
            user.book = Book(connection.claims.user_id)
        for position in user.book.positions.values():
            connection.outbox.move(position)
        return None if user.book.complete else user.book

    def unfollow(self, connection: Connection, channel: Channel) -> None:
        """Takes the channel away; the last one who looks at positions takes the book along."""
        assert connection.claims is not None
        connection.channels.discard(channel)
        if channel == "alerts":
            self._alerted.discard(connection)
        if channel != "positions":
            return
        connection.outbox.forget_positions()
        user = self._users[connection.claims.user_id]
        if user.book is not None and not user.followers("positions"):
            for position in user.book.positions.values():
                self._unwatch(position)
            user.book = None

    def go_live(self, connection: Connection, after: int) -> None:
        """Whatever comes after this offset is told from here on."""
        connection.trades_after = after

    def trade(self, update: TradeUpdate, now_s: float) -> None:
        """A trade update from the bus: kept for those who come back, told to whoever of this user follows `trades`."""
        if not self.recent.add(update, now_s):
            return
        user = self._users.get(update.user_id)
        followers = user.followers("trades") if user else ()
        if not followers:
            return
        news = Waiting("trades", update.frame(), update.origin)
        for connection in followers:
            if connection.trades_after is not None and update.offset > connection.trades_after:
                connection.outbox.say(news)

    # Alerts

    def alert(self, alert: Alert | None) -> None:
        """Tells an alert to those whom it concerns and who follow `alerts`; None is none."""
        if alert is None:
            return
        news = Waiting("alerts", alert.frame)
        if alert.user_id is None:
            # Saying something changes no channels, and a connection that closes is forgotten later.
            for connection in self._alerted:
                connection.outbox.say(news)
            return
        user = self._users.get(alert.user_id)
        for connection in user.followers("alerts") if user else ():
            connection.outbox.say(news)

    # Positions

    def wanted(self, book: Book) -> bool:
        """Whether somebody still looks at this very book, and it is not complete."""
        user = self._users.get(book.user_id)
        return user is not None and user.book is book and not book.complete

    def watches_positions(self, user_id: str) -> bool:
        user = self._users.get(user_id)
        return user is not None and user.book is not None

    def position_changed(self, state: OpenPosition) -> None:
        """A position was opened or changed, says the bus."""
        user = self._users.get(state.user_id)
        if user is not None and user.book is not None:
            self._take(user, user.book, state, followed=True)

    def position_closed(self, user_id: str, position_id: str, at_ms: int) -> None:
        """A position was closed, says the bus: its last update says so."""
        user = self._users.get(user_id)
        if user is None or user.book is None:
            return
        position = user.book.end(position_id)
        if position is not None:
            self._close(user, position, at_ms)

    def book_loaded(self, book: Book, states: Iterable[OpenPosition], *, complete: bool, now_ms: int) -> None:
        """Merges the read model into the book. `complete`: it holds everything that the bus had when following began.

        What was loaded earlier and is gone now has been closed, unless the bus has spoken of it since.
        """
        if not self.wanted(book):
            return
        user = self._users[book.user_id]
        loaded = {state.id: state for state in states}
        for state in loaded.values():
            if not book.ended(state.id):
                self._take(user, book, state, followed=False)
        if not complete:
            return
        for position in [p for p in book.positions.values() if not p.followed and p.state.id not in loaded]:
            book.end(position.state.id)
            self._close(user, position, now_ms)
        book.merged()

    def market_marked(self, market: Market, mark: Mark) -> None:
        """A market has a new price: every position in it that somebody looks at has moved."""
        known = self._marks.get(market)
        if known is not None and mark.at_ms < known.at_ms:
            return
        self._marks[market] = mark
        for position in self._watched.get(market, {}).values():
            if position.price_moved(mark):
                self._tell(self._users[position.state.user_id], position)

    def _take(self, user: User, book: Book, state: OpenPosition, *, followed: bool) -> None:
        position = book.positions.get(state.id)
        if position is None:
            position = LivePosition(state, self._marks.get(state.market), followed=followed)
            book.positions[state.id] = position
            self._watched.setdefault(state.market, {})[state.id] = position
        elif not position.changed(state, followed=followed):
            return
        self._tell(user, position)

    def _close(self, user: User, position: LivePosition, at_ms: int) -> None:
        self._unwatch(position)
        position.close(at_ms)
        self._tell(user, position)

    def _unwatch(self, position: LivePosition) -> None:
        watched = self._watched.get(position.state.market, {})
        watched.pop(position.state.id, None)
        if not watched:
            self._watched.pop(position.state.market, None)

    @staticmethod
    def _tell(user: User, position: LivePosition) -> None:
        for connection in user.followers("positions"):
            connection.outbox.move(position)
