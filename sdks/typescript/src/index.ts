// The TypeScript client of the NIJA platform, for browsers and Node.

export { NIJAClient, type ClientOptions } from './client.js';
export type { WriteArguments } from './calls.js';
export * from './errors.js';
export type * from './generated.js';
export type { Handler, LiveAlert, LiveError, LiveMessages, PositionUpdate, Resync, TradeExecuted } from './live.js';
export type { LiveSocket, SocketConstructor, SocketLike } from './socket.js';
