// What the client does when a call fails: a small server answers from a script and keeps what it was asked.

import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { test } from 'node:test';
import { inspect } from 'node:util';
import { WebSocketServer } from 'ws';
import {
  AuthenticationFailed,
  ConnectionFailed,
  InvalidArgument,
  NIJAClient,
  RateLimited,
  ServerError,
  UnexpectedAnswer,
} from '@nija/sdk';

const ok = (data) => [200, {}, JSON.stringify({ success: true, data })];
const no = (status, code, headers = {}) => [
  status,
  headers,
  JSON.stringify({ success: false, error: { code, message: 'No.', details: { field: 'why' } } }),
];

async function scripted(t, ...answers) {
  const asked = [];
  const server = createServer((request, response) => {
    let body = '';
    request.on('data', (part) => (body += part));
    request.on('end', () => {
      asked.push({ call: `${request.method} ${request.url}`, headers: request.headers, body });
      const next = answers.shift();
      if (next === 'silence') return;
      const [status, headers, text] = next;
      response.writeHead(status, headers).end(text);
    });
  });
  await new Promise((done) => server.listen(0, '127.0.0.1', done));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return { asked, baseUrl: `http://127.0.0.1:${server.address().port}/api/v1` };
}

for (const [status, code] of [
  [429, 'RATE_LIMIT_EXCEEDED'],
  [503, 'SERVICE_UNAVAILABLE'],
]) {
  test(`a reading call is repeated on ${status}, after what the platform asks for`, async (t) => {
    const { asked, baseUrl } = await scripted(t, no(status, code, { 'Retry-After': '1' }), ok({ status: 'stopped' }));
    const began = Date.now();
    assert.equal((await new NIJAClient({ apiKey: 'token', baseUrl }).trading.status()).status, 'stopped');
    assert.ok(Date.now() - began >= 990);
    assert.equal(asked.length, 2);
  });
}

test('a writing call is not repeated', async (t) => {
  const { asked, baseUrl } = await scripted(t, no(503, 'SERVICE_UNAVAILABLE', { 'Retry-After': '0' }));
  const error = await new NIJAClient({ apiKey: 'token', baseUrl }).trading.stop().catch((caught) => caught);
  assert.ok(error instanceof ServerError);
  assert.deepEqual([error.code, error.status, error.retryAfter, error.details], ['SERVICE_UNAVAILABLE', 503, 0, { field: 'why' }]);
  assert.deepEqual(asked.map((one) => one.call), ['POST /api/v1/trading/stop']);
});

test('a writing call with an idempotency key is repeated with the same key', async (t) => {
  const { asked, baseUrl } = await scripted(t, no(503, 'SERVICE_UNAVAILABLE', { 'Retry-After': '0' }), ok({}));
  await new NIJAClient({ apiKey: 'token', baseUrl }).trading.stop({ closePositions: true, idempotencyKey: 'once' });
  assert.deepEqual(asked.map((one) => one.headers['idempotency-key']), ['once', 'once']);
  assert.deepEqual(asked.map((one) => one.body), Array(2).fill('{"close_positions":true}'));
});

test('what would fail again is not repeated, and repeating ends', async (t) => {
  const again = Array.from({ length: 3 }, () => no(429, 'RATE_LIMIT_EXCEEDED', { 'Retry-After': '0' }));
  const late = no(503, 'SERVICE_UNAVAILABLE', { 'Retry-After': '3600' });
  const { asked, baseUrl } = await scripted(t, no(500, 'INTERNAL_ERROR'), late, ...again);
  const client = new NIJAClient({ apiKey: 'token', baseUrl, maxRetries: 2 });
  await assert.rejects(client.account.stats(), ServerError);
  await assert.rejects(client.account.stats(), { retryAfter: 3600 });
  assert.equal(asked.length, 2);
  await assert.rejects(client.account.stats(), RateLimited);
  assert.equal(asked.length, 5);
});

test('an expired token is renewed once and the call made again', async (t) => {
  const { asked, baseUrl } = await scripted(t, no(401, 'TOKEN_EXPIRED'), ok({ access_token: 'new' }), ok({}));
  const client = new NIJAClient({ apiKey: 'old', refreshToken: 'again', baseUrl });
  await client.trading.stop();
  assert.equal(client.apiKey(), 'new');
  assert.deepEqual(asked.map((one) => one.headers.authorization), ['Bearer old', undefined, 'Bearer new']);
  assert.deepEqual(JSON.parse(asked[1].body), { refresh_token: 'again' });
});

test('a token that cannot or must not be renewed is refused', async (t) => {
  const { asked, baseUrl } = await scripted(t, no(401, 'TOKEN_EXPIRED'), no(401, 'TOKEN_INVALID'));
  await assert.rejects(new NIJAClient({ apiKey: 'old', baseUrl }).account.stats(), AuthenticationFailed);
  const other = new NIJAClient({ apiKey: 'old', refreshToken: 'again', baseUrl });
  await assert.rejects(other.account.stats(), AuthenticationFailed);
  assert.equal(asked.length, 2);
});

test('an answer of something else, none at all, and nobody there are told apart', async (t) => {
  const { baseUrl } = await scripted(t, [502, {}, '<html>Bad gateway</html>'], 'silence');
  const client = new NIJAClient({ apiKey: 'token', baseUrl, timeoutMs: 100, maxRetries: 0 });
  await assert.rejects(client.account.stats(), UnexpectedAnswer);
  await assert.rejects(client.trading.stop(), ConnectionFailed);
  const nobody = new NIJAClient({ apiKey: 'token', baseUrl: 'http://127.0.0.1:9/api/v1', maxRetries: 0 });
  await assert.rejects(nobody.account.stats(), ConnectionFailed);
  await assert.rejects(nobody.ws.connect(), ConnectionFailed);
});

test('what is left out is not sent, null is, and an id cannot reach another path', async (t) => {
  const { asked, baseUrl } = await scripted(t, ok({}), ok({}));
  const client = new NIJAClient({ apiKey: 'token', baseUrl });
  await client.admin.updateUser('usr_1', { notes: 'n', expiresAt: null, status: undefined });
  await client.trading.closePosition('../../admin?x=1');
  assert.deepEqual(JSON.parse(asked[0].body), { notes: 'n', expires_at: null });
  assert.equal(asked[1].call, 'POST /api/v1/trading/positions/..%2F..%2Fadmin%3Fx%3D1/close');
});

test('a live socket on which nothing comes any more is given up, and another one made', async (t) => {
  t.mock.timers.enable({ apis: ['setInterval'] });
  const { promise: pinged, resolve: ping } = deferred();
  const { promise: back, resolve: again } = deferred();
  let connections = 0;
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1' });
  t.after(() => server.close());
  server.on('connection', (socket) => {
    connections += 1;
    if (connections === 2) again();
    socket.on('message', (text) => {
      const { type } = JSON.parse(text);
      if (type === 'auth') socket.send('{"type":"auth_success"}');
      if (type === 'ping') ping();
    });
  });
  await new Promise((done) => server.once('listening', done));
  const client = new NIJAClient({ apiKey: 'token', baseUrl: `http://127.0.0.1:${server.address().port}/api/v1` });
  t.after(() => client.ws.close());
  await client.ws.connect();
  t.mock.timers.tick(20_000);
  await pinged;
  t.mock.timers.tick(40_000);
  await back;
  assert.equal(connections, 2);
});

function deferred() {
  const made = {};
  made.promise = new Promise((resolve) => (made.resolve = resolve));
  return made;
}

test('a client that is logged shows no secret, and an address that is none is refused', () => {
  const client = new NIJAClient({ apiKey: 'very-secret', refreshToken: 'more-secret', baseUrl: 'http://host/api/v1' });
  assert.doesNotMatch(inspect(client, { depth: 9, showHidden: true }) + JSON.stringify(client), /secret/);
  for (const baseUrl of ['ftp://host/api/v1', '127.0.0.1:8000', 'http://']) {
    assert.throws(() => new NIJAClient({ baseUrl }), InvalidArgument);
  }
});
