// What the tests share: people on the running platform, by way of the SDK itself, and a bot that obeys alerts.

import { setTimeout as sleep } from 'node:timers/promises';
import { NIJAClient } from '@nija/sdk';

export const PASSWORD = 'Copper-Meadow-Station-42';

/** A new account in its trial, signed in. */
export async function newcomer() {
  const client = new NIJAClient();
  const email = `u${crypto.randomUUID().slice(0, 12)}@nija.example`;
  const user = await client.auth.register({ email, password: PASSWORD, fullName: 'Ada Trader', acceptTerms: true });
  const session = await client.auth.login({ email, password: PASSWORD });
  return { client, email, userId: user.user_id, session };
}

/** Starts a paper bot that waits for alerts; answers what sends them. */
export async function obedient(client) {
  await client.config.updateSettings({ trading: { allowedPairs: ['BTC-USD'], paperTrading: true } });
  await client.trading.start({ broker: 'coinbase', paperTrading: true, strategy: 'SIGNALS_ONLY' });
  const { webhook_key: key } = await client.config.rotateWebhookKey();
  await until(async () => (await client.trading.status()).status === 'running');
  return async (action) => {
    const told = { symbol: 'COINBASE:BTCUSD', action, strategy: 'APEX_V72', api_key: key };
    const answer = await fetch(`${client.baseUrl}/webhooks/tradingview`, { method: 'POST', body: JSON.stringify(told) });
    if (!answer.ok) throw new Error(await answer.text());
  };
}

/** Waits until the probe answers something true; asks seldom, since calls count against a limit. */
export async function until(probe, seconds = 30) {
  for (const end = Date.now() + 1000 * seconds; ; await sleep(100)) {
    const found = await probe();
    if (found) return found;
    if (Date.now() > end) throw new Error(`not within ${seconds} s: ${probe}`);
  }
}
