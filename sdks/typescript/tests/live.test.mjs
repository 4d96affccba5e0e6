// The live socket against the running platform. A killed platform: `restart.mjs`.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AuthenticationFailed, InvalidArgument, NIJAClient } from '@nija/sdk';
import { newcomer, obedient, until } from './scene.mjs';

test('trades and positions come to their handlers, a failing handler or not, and what was missed comes after a break', async (t) => {
  const { client } = await newcomer();
  t.after(() => client.ws.close());
  const silenced = t.mock.method(console, 'error', () => undefined);
  const trades = [];
  const positions = [];
  client.ws.on('trade_executed', () => {
    throw new Error('mine');
  });
  client.ws.on('trade_executed', (trade) => trades.push(trade));
  await client.ws.connect();
  client.ws.on('position_update', (position) => positions.push(position));
  const alert = await obedient(client);
  await alert('buy');
  await until(() => trades.length === 1 && positions.length > 0);
  assert.equal(positions[0].symbol, 'BTC-USD');
  assert.equal(silenced.mock.callCount(), 1);
  client.ws.close();
  await alert('close');
  await until(async () => (await client.account.positions()).positions.length === 0);
  await client.ws.connect();
  await until(() => trades.length === 2);
  assert.deepEqual(trades.map((trade) => trade.action), ['opened', 'closed']);
});

test('a refused token is renewed, and one that cannot be is an error', async (t) => {
  const { session } = await newcomer();
  const client = new NIJAClient({ apiKey: 'not a token', refreshToken: session.refresh_token });
  t.after(() => client.ws.close());
  await client.ws.connect();
  assert.notEqual(client.apiKey(), 'not a token');
  await assert.rejects(new NIJAClient({ apiKey: 'not a token' }).ws.connect(), AuthenticationFailed);
  assert.throws(() => client.ws.on('positions', () => undefined), InvalidArgument);
});

test('a session that is ended ends the socket and tells its handler', async () => {
  const { client, session } = await newcomer();
  const other = new NIJAClient({ apiKey: session.access_token });
  const errors = [];
  other.ws.on('error', (error) => errors.push(error));
  await other.ws.connect();
  await client.auth.logout({ revokeAll: true });
  await until(() => errors.length > 1);
  assert.equal(errors.at(-1).code, 'TOKEN_INVALID');
});
