// Every operation of every group, once, against the running platform.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  AuthenticationFailed,
  BadRequest,
  Conflict,
  InvalidArgument,
  NIJAClient,
  NIJAError,
  NotFound,
  PaymentRequired,
  PermissionDenied,
  ServerError,
} from '@nija/sdk';
import { newcomer, PASSWORD } from './scene.mjs';

const GROUPS = ['auth', 'trading', 'account', 'config', 'subscription', 'analytics', 'admin'];

function operations(client) {
  return GROUPS.flatMap((group) =>
    Object.getOwnPropertyNames(Object.getPrototypeOf(client[group]))
      .filter((name) => name !== 'constructor')
      .map((name) => `${group}.${name}`),
  );
}

test('every operation works', async () => {
  const called = new Set(['auth.register', 'auth.login']);
  const caller = (client) => (name, ...given) => {
    called.add(name);
    const [group, method] = name.split('.');
    return client[group][method](...given);
  };
  const { client, email, userId, session } = await newcomer();
  const admin = new NIJAClient();
  await admin.auth.login({ email: process.env.NIJA_TEST_ADMIN_EMAIL, password: process.env.NIJA_TEST_ADMIN_PASSWORD });
  const call = caller(client);
  const byAdmin = caller(admin);

  await call('auth.refresh', { refreshToken: session.refresh_token });
  await call('auth.changePassword', { currentPassword: PASSWORD, newPassword: 'Silver-Lantern-Orchard-93' });
  await call('auth.resetPassword', { email });
  await assert.rejects(
    call('auth.confirmResetPassword', { token: '0'.repeat(43), newPassword: 'Willow-Copper-Harbour-55' }),
    AuthenticationFailed,
  );

  assert.equal((await call('config.settings')).trading.paper_trading, true);
  const changed = await call('config.updateSettings', { trading: { allowedPairs: ['BTC-USD'] } });
  assert.deepEqual(changed.updated_fields, ['allowed_pairs']);
  await assert.rejects(
    call('config.addBroker', { broker: 'coinbase', apiKey: 'organizations/a/apiKeys/b', apiSecret: 'c'.repeat(40) }),
    (error) => error instanceof ServerError || error instanceof BadRequest,
  );
  assert.deepEqual((await call('config.brokers')).brokers, []);
  await assert.rejects(call('config.testBroker', 'brk_unknown'), NotFound);
  await assert.rejects(call('config.removeBroker', 'brk_unknown'), NotFound);
  const { webhook_key: key } = await call('config.rotateWebhookKey');
  assert.notEqual((await call('config.webhookKey')).webhook_key_masked, key);

  const start = { broker: 'coinbase', paperTrading: true, idempotencyKey: 'start-once' };
  const started = await call('trading.start', start);
  assert.equal(started.status, 'starting');
  assert.deepEqual(await call('trading.start', start), started);
  await assert.rejects(call('trading.start', { broker: 'kraken', paperTrading: true }), Conflict);
  await call('trading.status');
  await assert.rejects(call('trading.closePosition', 'pos_unknown'), NotFound);
  await call('trading.stop', { closePositions: true });
  await call('trading.emergencyStop', { reason: 'drill', closePositions: true });
  await assert.rejects(call('trading.start', { broker: 'coinbase', paperTrading: true }), PermissionDenied);
  await call('trading.emergencyReset');
  await assert.rejects(call('trading.start', { broker: 'coinbase', paperTrading: false }), PaymentRequired);

  assert.deepEqual((await call('account.positions', { symbol: 'BTC-USD' })).positions, []);
  assert.equal((await call('account.balance')).paper, true);
  assert.equal((await call('account.history', { page: 1, perPage: 5, status: 'closed' })).pagination.per_page, 5);
  await call('account.performance', { period: 'all' });
  await call('account.stats');
  await call('analytics.dashboard', { mode: 'paper' });
  await call('analytics.trades', { groupBy: 'day' });
  assert.ok((await call('analytics.export', { dataType: 'trades', format: 'csv' })).download_url);

  assert.equal((await call('subscription.plans')).plans[0].tier, 'free');
  assert.equal((await call('subscription.current')).trial_active, true);
  await call('subscription.upgrade', { tier: 'pro', interval: 'monthly', paymentMethodId: 'pm_card_visa' });
  await call('subscription.usage');
  assert.equal((await call('subscription.cancel', { reason: 'enough' })).cancel_at_period_end, true);

  assert.equal((await byAdmin('admin.user', userId)).user.user_id, userId);
  await byAdmin('admin.updateUser', userId, { notes: 'seen' });
  assert.equal((await byAdmin('admin.users', { perPage: 1 })).pagination.per_page, 1);
  await byAdmin('admin.metrics');
  await byAdmin('admin.auditLogs', { userId });
  await byAdmin('admin.killSwitch', { reason: 'drill', closeAllPositions: false });
  await byAdmin('admin.releaseKillSwitch', { reason: 'over' });

  await call('auth.logout', { revokeAll: true });
  const ended = () => client.subscription.current().then(() => false, (error) => error.code === 'TOKEN_INVALID');
  for (const end = Date.now() + 10_000; !(await ended()); await sleep(50)) assert.ok(Date.now() < end);

  assert.deepEqual([...called].sort(), operations(client).sort());
});

test('an error carries code, status, details and request id', async () => {
  const { client } = await newcomer();
  const wrong = await client.config.updateSettings({ trading: { maxConcurrentPositions: -1 } }).catch((error) => error);
  assert.ok(wrong instanceof BadRequest && wrong instanceof NIJAError);
  assert.equal(wrong.name, 'BadRequest');
  assert.deepEqual([wrong.code, wrong.status], ['VALIDATION_ERROR', 400]);
  assert.ok('trading.max_concurrent_positions' in wrong.details);
  assert.ok(wrong.requestId);
});

test('an argument that does not exist is refused before anything is sent', async () => {
  const { client } = await newcomer();
  await assert.rejects(client.trading.start({ broker: 'coinbase', paperTradng: true }), InvalidArgument);
  await assert.rejects(client.config.updateSettings({ trading: { paper_trading: true } }), InvalidArgument);
  await assert.rejects(client.account.history({ idempotencyKey: 'k' }), InvalidArgument);
  await assert.rejects(client.trading.closePosition('..'), InvalidArgument);
});
