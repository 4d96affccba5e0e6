// Says `opened` after an entry; the platform is killed and started again meanwhile; then an exit must come on the
// same `ws`. Driven by test_sdk.py.

import { newcomer, obedient, until } from './scene.mjs';

const { client } = await newcomer();
const actions = [];
client.ws.on('trade_executed', (trade) => actions.push(trade.action));
await client.ws.connect();
const alert = await obedient(client);
await alert('buy');
await until(() => actions.length === 1);
console.log('opened');
await new Promise((done) => process.stdin.once('data', done));
await until(() => client.trading.status().then(() => true, () => false));
await alert('close');
await until(() => actions.length === 2);
console.log(actions.join(' '));
client.ws.close();
process.exit(0);
