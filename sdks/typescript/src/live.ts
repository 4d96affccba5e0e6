// The live socket's conversation, without the network: what to say, what an answer means, where to go on.

import { apiError, InvalidArgument, type NIJAError, UnexpectedAnswer } from './errors.js';
import type { WireError } from './calls.js';

/** The newest state of an open position. */
export interface PositionUpdate {
  position_id: string;
  symbol: string;
  current_price: number;
  unrealized_pnl: number;
  unrealized_pnl_pct: number;
  timestamp: string;
  [field: string]: unknown;
}

/** Something was executed, or given up. */
export interface TradeExecuted {
  trade_id: string;
  action: 'opened' | 'reduced' | 'closed' | 'cancelled';
  symbol: string;
  side: string;
  entry_price: number | null;
  size_usd: number | null;
  timestamp: string;
  [field: string]: unknown;
}

/** What stops trading, and that it is over. */
export interface LiveAlert {
  kind: string;
  message: string;
  severity: 'critical' | 'warning' | 'info';
  timestamp: string;
  [field: string]: unknown;
}

/** What was missed cannot be told: read positions and history anew. */
export interface Resync {
  type: 'resync';
  channel: string;
}

/** The platform refused something on the socket, or its end. */
export interface LiveError {
  code: string;
  message: string;
  details: Record<string, unknown>;
}

/** What handlers are given, by message type. */
export interface LiveMessages {
  position_update: PositionUpdate;
  trade_executed: TradeExecuted;
  alert: LiveAlert;
  resync: Resync;
  error: LiveError;
}

export type Handler<K extends keyof LiveMessages> = (data: LiveMessages[K]) => unknown;

// `resync` comes on whatever is subscribed, `error` at any time.
const CHANNELS = new Map<string, string>([
  ['position_update', 'positions'],
  ['trade_executed', 'trades'],
  ['alert', 'alerts'],
]);
const KINDS: readonly string[] = [...CHANNELS.keys(), 'resync', 'error'];

// Refusals of a sign-in that will pass. Every other one says that the token is no good.
const STATUS_OF = new Map([
  ['SERVICE_UNAVAILABLE', 503],
  ['INTERNAL_ERROR', 500],
  ['DATABASE_ERROR', 500],
  ['RATE_LIMIT_EXCEEDED', 429],
]);
const LONGEST_PAUSE_S = 30;

interface Message {
  type?: string;
  channel?: string;
  id?: number;
  data?: unknown;
  error?: WireError;
}

/** What this end knows of one live socket over all its connections. */
export class Conversation {
  readonly #handlers = new Map<string, ((data: never) => unknown)[]>();
  readonly #lastSeen = new Map<string, number>();
  #failures = 0;

  /** Adds a handler. Answers what to say on an open connection for it: a subscription where the channel is new. */
  on<K extends keyof LiveMessages>(kind: K, handler: Handler<K>): string | undefined {
    if (!KINDS.includes(kind)) {
      throw new InvalidArgument(`there is no message ${String(kind)}; there are ${KINDS.join(', ')}`);
    }
    const known = this.#handlers.get(kind);
    this.#handlers.set(kind, [...(known ?? []), handler as (data: never) => unknown]);
    const channel = CHANNELS.get(kind);
    return known === undefined && channel !== undefined ? this.#subscription(channel) : undefined;
  }

  auth(token: string | undefined): string {
    return JSON.stringify({ type: 'auth', token: `Bearer ${token ?? ''}` });
  }

  /** What to say once signed in: each channel that has a handler, from where it was left. */
  subscriptions(): string[] {
    const wanted = [...CHANNELS].filter(([kind]) => this.#handlers.has(kind));
    return wanted.map(([, channel]) => this.#subscription(channel));
  }

  #subscription(channel: string): string {
    return JSON.stringify({ type: 'subscribe', channel, since: this.#lastSeen.get(channel) });
  }

  /** Gives a message to its handlers. Remembers how far the channel has come. Throws UnexpectedAnswer. */
  heard(text: unknown): void {
    const message = read(text);
    this.#failures = 0;
    const { type, channel, id } = message;
    if (type === 'resync' && channel !== undefined) this.#lastSeen.delete(channel);
    else if (typeof id === 'number' && channel !== undefined) this.#lastSeen.set(channel, id);
    this.#tell(type ?? '', type === 'error' ? message.error : (message.data ?? message));
  }

  /** Tells the handlers of `error` that the socket ends. */
  ended(error: NIJAError): void {
    this.#tell('error', { code: error.code, message: error.message, details: error.details });
  }

  #tell(kind: string, data: unknown): void {
    for (const handler of this.#handlers.get(kind) ?? []) {
      // A handler that fails, now or later, does not end the socket.
      new Promise((done) => done(handler(data as never))).catch((error: unknown) => {
        console.error('a handler of the live socket failed', error);
      });
    }
  }

  /** Checks the answer to `auth`. Throws AuthenticationFailed, or another APIError where it may work later. */
  signedIn(text: unknown): void {
    const message = read(text);
    if (message.type === 'auth_success') return;
    const code = message.error?.code ?? 'TOKEN_INVALID';
    throw apiError(code, message.error?.message ?? 'The token was refused.', { status: STATUS_OF.get(code) ?? 401 });
  }

  /** Milliseconds before the next connection: longer each time it fails, spread so that not all come at once. */
  pauseMs(): number {
    this.#failures += 1;
    return 1000 * (0.5 + Math.random() / 2) * Math.min(0.5 * 2 ** (this.#failures - 1), LONGEST_PAUSE_S);
  }
}

function read(text: unknown): Message {
  let message: unknown;
  try {
    message = JSON.parse(String(text));
  } catch {
    throw new UnexpectedAnswer('a message on the live socket that is not JSON');
  }
  if (typeof message !== 'object' || message === null || Array.isArray(message)) {
    throw new UnexpectedAnswer("a message on the live socket that is not the platform's");
  }
  return message;
}
