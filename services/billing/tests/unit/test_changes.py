"""A subscription through any sequence of purchases, cancellations, renewals, overrides and time."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from nija_billing.domain import changes, choices
from nija_billing.domain.choices import Choice
from nija_billing.domain.orders import Arranged, Purchase, Receipt, Renewal
from nija_billing.domain.plans import plan_of
from nija_billing.domain.subscription import (
    PaymentMethod,
    Subscription,
    at_time,
    charge_due,
    new_subscription,
)
from nija_billing.domain.vendor import Invoice, Notice, NoticeKind, Terms, VendorSubscription, heard
from nija_common.events.subscriptions import Interval
from nija_common.values.tiers import Tier, effective_at
from nija_common.values.times import DAY_MS

REGISTERED = 1_769_683_320_123
METHOD = PaymentMethod(id="pm_card_visa", type="card", brand="visa", last4="4242", exp_month=12, exp_year=2034)
tiers = st.sampled_from([Tier.BASIC, Tier.PRO, Tier.ENTERPRISE])
intervals: st.SearchStrategy[Interval] = st.sampled_from(["monthly", "yearly"])


class Life(RuleBasedStateMachine):
    """One account; `paid` and `given_back` are all the money that ever moved."""

    @initialize()
    def register(self) -> None:
        self.now = REGISTERED
        self.account = new_subscription("usr_a", REGISTERED, REGISTERED)
        self.records: dict[str, VendorSubscription] = {}
        self.number = 0
        self.paid = self.given_back = 0
        self.ended: set[str] = set()

    def hear(self, notice: Notice) -> VendorSubscription:
        known = self.records.get(notice.subscription_id)
        record = heard(known or VendorSubscription(id=notice.subscription_id, user_id="usr_a"), notice)
        self.records[record.id] = record
        return record

    def leave(self, after: Subscription) -> None:
        gone = self.account.subscription_id
        if gone is not None and gone != after.subscription_id:
            self.ended.add(gone)
            self.records[gone] = self.records[gone].model_copy(update={"ended_at_s": self.now // 1000})
        self.account = after

    def settle(self, order: Purchase | Renewal) -> None:
        quote = order.quote
        self.number += 1
        receipt = Receipt(
            subscription_id=order.subscription_id or f"sub_{self.number}",
            invoice_id=f"in_{self.number}",
            paid_cents=quote.due,
            credit_left_cents=quote.balance_after,
            period_start_ms=order.period_start_ms,
            period_end_ms=order.period_end_ms,
            payment_method=METHOD,
            collected_by="platform",
            at_s=self.now // 1000,
        )
        self.paid += quote.due
        notice = changes.paid_notice(f"att_{self.number}", order, receipt)
        record = self.hear(notice)
        if isinstance(order, Purchase):
            self.leave(changes.bought(self.account, record, receipt, self.now))
        else:
            self.leave(changes.renewed(self.account, record, order, self.now))

    @rule(tier=tiers, interval=intervals)
    def choose(self, tier: Tier, interval: Interval) -> None:
        before = self.account
        when = choices.choice(before, tier, interval)
        if when is Choice.NOW:
            order = choices.purchase(before, tier, interval, METHOD.id, self.now)
            self.settle(order)
            plan = self.account.plan
            assert plan is not None and (plan.tier, plan.interval) == (tier, interval)
            assert not plan.past_due and plan.next is None and not plan.cancel_at_period_end
            assert plan.paid_cents == order.quote.due and self.account.credit_cents == order.quote.balance_after
        elif when in (Choice.LATER, Choice.GO_ON):
            assert before.plan is not None and before.subscription_id is not None
            later = choices.change_later(before.subscription_id, before.plan, tier, interval)
            answer = Arranged(schedule_id=None, refunded_cents=0, at_s=self.now // 1000)
            self.leave(changes.arranged(before, later, answer, self.now))
            assert self.account.plan is not None and self.account.plan.tier is before.plan.tier
            assert (self.account.plan.next is None) == (when is Choice.GO_ON)
            self.hear(changes.terms_notice("att", before.subscription_id, self.account.plan, self.now // 1000))

    @precondition(lambda self: self.account.plan is not None)
    @rule(immediately=st.booleans())
    def cancel(self, immediately: bool) -> None:
        before = self.account
        assert before.plan is not None and before.subscription_id is not None
        order = choices.cancellation(before.subscription_id, before.plan, immediately, self.now)
        assert 0 <= order.refund_cents <= before.plan.paid_cents
        self.given_back += order.refund_cents
        self.leave(changes.cancelled(before, order, self.now))
        if self.account.plan is None:
            assert self.account.status in ("cancelled", "active")
        else:
            self.hear(changes.terms_notice("att", before.subscription_id, self.account.plan, self.now // 1000))

    @rule(tier=st.sampled_from(list(Tier)), days=st.none() | st.integers(1, 60))
    def override(self, tier: Tier, days: int | None) -> None:
        expires = None if days is None else self.now + days * DAY_MS
        self.leave(changes.overridden(self.account, tier, expires, "usr_admin", self.now))
        assert effective_at(self.account.effective, self.now).tier is tier

    @precondition(lambda self: self.account.override is not None)
    @rule(immediately=st.booleans())
    def give_up(self, immediately: bool) -> None:
        assert self.account.override is not None
        self.leave(changes.given_up(self.account, self.account.override, immediately, self.now))

    @rule(hours=st.integers(1, 24 * 45), pays=st.booleans())
    def pass_time(self, hours: int, pays: bool) -> None:
        self.now += hours * 3_600_000
        self.leave(at_time(self.account, self.now))
        while charge_due(self.account, self.now):
            plan, subscription_id = self.account.plan, self.account.subscription_id
            assert plan is not None and subscription_id is not None
            order = choices.renewal(subscription_id, self.account, plan, METHOD.id, self.now)
            if pays:
                self.settle(order)
                assert self.account.plan is not None and self.account.plan.tier is order.tier
            else:
                invoice = Invoice(id="in_failed", amount_cents=order.quote.due)
                at_s = self.now // 1000
                self.hear(Notice("att", "failed", at_s, subscription_id, invoice=invoice, own=True))
                self.leave(changes.renewal_failed(self.account, self.now))

    @precondition(lambda self: self.records)
    @rule(data=st.data())
    def hear_something_late(self, data: st.DataObject) -> None:
        subscription_id = data.draw(st.sampled_from(sorted(self.records)))
        kind: NoticeKind = data.draw(st.sampled_from(["paid", "failed", "updated", "deleted"]))
        at_s = self.now // 1000 - data.draw(st.integers(0, 40 * 86_400))
        record = self.records[subscription_id]
        terms = None if record.terms is None or kind == "deleted" else record.terms.terms
        invoice = Invoice(id="in_x", amount_cents=100) if kind in ("paid", "failed") else None
        self.paid += 100 if kind == "paid" else 0
        notice = Notice("evt", kind, at_s, subscription_id, terms=terms, invoice=invoice)
        self.leave(changes.followed(self.account, self.hear(notice), self.now))
        self.now += 1000  # of one second a vendor's event counts as newer than an answer to us

    @invariant()
    def holds(self) -> None:
        account = self.account
        begins = [stretch.from_ms for stretch in account.effective]
        assert begins == sorted(set(begins)) and begins
        assert account.credit_cents >= 0
        assert self.given_back <= self.paid
        assert account.subscription_id not in self.ended
        assert (account.plan is None) == (account.subscription_id is None)
        assert account == at_time(account, self.now)
        assert effective_at(account.effective, self.now).live == (
            (account.plan is not None or account.override is not None)
            and effective_at(account.effective, self.now).tier is not Tier.FREE
        )
        if account.plan is not None:
            assert account.plan.period_start_ms < account.plan.period_end_ms
            assert account.plan.paid_cents >= 0
            assert account.plan.price_cents == plan_of(account.plan.tier).amount(account.plan.interval)
            assert account.trial_ends_at_ms <= self.now
        account.snapshot()


Life.TestCase.settings = settings(max_examples=30, stateful_step_count=20, deadline=None)
TestLife = Life.TestCase


def begun(tier: Tier = Tier.PRO, interval: Interval = "monthly") -> tuple[Subscription, VendorSubscription]:
    """An account that has just bought a plan."""
    life = Life()
    life.register()
    life.choose(tier, interval)
    assert life.account.subscription_id is not None
    return life.account, life.records[life.account.subscription_id]


def test_a_downgrade_is_in_the_effective_list_before_it_happens() -> None:
    account, _ = begun()
    assert account.plan is not None and account.subscription_id is not None
    later = choices.change_later(account.subscription_id, account.plan, Tier.BASIC, "monthly")
    answer = Arranged(schedule_id=None, refunded_cents=0, at_s=0)
    moved = changes.arranged(account, later, answer, REGISTERED)
    assert [(s.tier, s.from_ms) for s in moved.effective] == [
        (Tier.PRO, REGISTERED),
        (Tier.BASIC, account.plan.period_end_ms),
    ]


def test_a_plan_whose_payment_failed_has_no_credit_and_any_plan_begins_now() -> None:
    account, _ = begun(Tier.ENTERPRISE)
    assert account.plan is not None
    failed = changes.renewal_failed(account, account.plan.period_end_ms)
    assert failed.status == "past_due"
    for tier, interval in ((Tier.ENTERPRISE, "monthly"), (Tier.BASIC, "monthly")):
        assert choices.choice(failed, tier, interval) is Choice.NOW  # type: ignore[arg-type]
    order = choices.purchase(failed, Tier.BASIC, "monthly", METHOD.id, account.plan.period_end_ms)
    assert (order.unused_cents, order.subscription_id, order.replaces) == (0, None, failed.subscription_id)


def test_an_override_lifts_a_suspension_for_payment_while_it_lasts() -> None:
    account, _ = begun()
    assert account.plan is not None
    now = account.plan.period_end_ms
    failed = changes.renewal_failed(account, now)
    given = changes.overridden(failed, Tier.BASIC, now + 3_600_000, "usr_admin", now)
    assert (given.status, given.tier) == ("active", Tier.BASIC)
    after = at_time(given, now + 3_600_000)
    assert (after.status, after.tier) == ("past_due", Tier.PRO)


def test_after_the_last_retry_the_plan_ends() -> None:
    account, _ = begun()
    assert account.plan is not None
    now = account.plan.period_end_ms
    for wait in (*changes.RETRIES_MS, 0):
        account = changes.renewal_failed(account, now)
        assert (account.plan is None) == (wait == 0)
        now += wait
    assert (account.status, account.tier, account.next_change_ms) == ("cancelled", Tier.FREE, None)


def test_terms_of_an_older_second_change_nothing() -> None:
    account, record = begun()
    assert record.terms is not None
    old = Terms(tier=Tier.BASIC, interval="monthly", price_cents=4_900, period_start_ms=0, period_end_ms=1000)
    notice = Notice("evt_old", "updated", record.terms.at_s - 1, record.id, terms=old)
    assert heard(record, notice) == record
    assert changes.followed(account, heard(record, notice), REGISTERED) == account
