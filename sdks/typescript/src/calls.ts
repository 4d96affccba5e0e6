// One call, without the network: what is sent, what an answer means, and whether to try again.

import { apiError, type APIError, InvalidArgument, UnexpectedAnswer } from './errors.js';

export const DEFAULT_BASE_URL = 'https://api.nija.com/api/v1';

const TRIES_AGAIN_ON: ReadonlySet<number> = new Set([429, 503]);
const LONGEST_WAIT_S = 60;

/** What every call that changes something also takes. */
export interface WriteArguments {
  /** The same key and the same call give the first answer again. With one, a call that found nobody is repeated. */
  idempotencyKey?: string;
}

/** Arguments by their name on the wire; an object inside a body has a table of its own. */
export interface Names {
  readonly [argument: string]: string | readonly [string, Names];
}

/** A method's operation, and what it was called with. */
export interface Operation {
  readonly name: string;
  readonly http: string;
  readonly path: string;
  readonly ids?: readonly string[];
  readonly query?: Names;
  readonly body?: Names;
  readonly given?: object;
  readonly takesKey?: boolean;
}

export type Caller = <T>(operation: Operation) => Promise<T>;

/** A request to make, relative to the base URL. */
export interface Call {
  readonly http: string;
  readonly path: string;
  readonly body: string | undefined;
  readonly idempotencyKey: string | undefined;
}

/** The request of an operation. Throws InvalidArgument for an argument that does not exist: nothing is left out silently. */
export function made(operation: Operation): Call {
  const { idempotencyKey, ...given } = (operation.given ?? {}) as Record<string, unknown>;
  if (idempotencyKey !== undefined && operation.takesKey !== true) {
    throw new InvalidArgument(`${operation.name} takes no idempotencyKey`);
  }
  const known = { ...operation.query, ...operation.body };
  for (const argument of Object.keys(given)) {
    if (!Object.hasOwn(known, argument)) throw unknown(operation.name, argument, known);
  }
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(renamed(given, operation.query ?? {}, operation.name, true))) {
    if (value !== null) query.set(name, String(value));
  }
  const asked = query.toString();
  return {
    http: operation.http,
    path: filled(operation) + (asked && `?${asked}`),
    body: operation.body && JSON.stringify(renamed(given, operation.body, operation.name, true)),
    idempotencyKey: idempotencyKey as string | undefined,
  };
}

/** The path with its ids: they cannot reach another one. */
function filled(operation: Operation): string {
  const ids = [...(operation.ids ?? [])];
  return operation.path.replace(/\{\w+\}/g, () => {
    const id = ids.shift();
    if (typeof id !== 'string' || id === '' || id === '.' || id === '..') {
      throw new InvalidArgument(`${operation.name} needs an id`);
    }
    return encodeURIComponent(id);
  });
}

function renamed(given: Record<string, unknown>, names: Names, where: string, part = false): Record<string, unknown> {
  const out: Record<string, unknown> = {};
  for (const [argument, value] of Object.entries(given)) {
    const wire = Object.hasOwn(names, argument) ? names[argument] : undefined;
    if (wire === undefined) {
      if (part) continue;
      throw unknown(where, argument, names);
    }
    if (value === undefined) continue;
    if (typeof wire === 'string') out[wire] = value;
    else out[wire[0]] = inner(value, wire[1], `${where}.${argument}`);
  }
  return out;
}

function inner(value: unknown, names: Names, where: string): unknown {
  if (Array.isArray(value)) return value.map((item) => inner(item, names, where));
  if (typeof value !== 'object' || value === null) return value;
  return renamed(value as Record<string, unknown>, names, where);
}

function unknown(where: string, argument: string, names: Names): InvalidArgument {
  const all = Object.keys(names).join(', ');
  return new InvalidArgument(`${where} has no argument ${argument}; ${all ? `there are ${all}` : 'there are none'}`);
}

/** Without a slash at the end. Throws InvalidArgument for what is no http or https address. */
export function baseUrlOf(given: string | undefined): string {
  const url = (given || fromEnvironment() || DEFAULT_BASE_URL).replace(/\/+$/, '');
  if (!/^https?:\/\/[^/]/.test(url) || !URL.canParse(url)) {
    throw new InvalidArgument(`baseUrl must be an http or https address ending in /api/v1, not ${url}`);
  }
  return url;
}

function fromEnvironment(): string | undefined {
  const { process } = globalThis as { process?: { env?: Record<string, string | undefined> } };
  return process?.env?.['NIJA_BASE_URL'];
}

/** The live socket of the same origin. */
export function socketUrlOf(baseUrl: string): string {
  const { protocol, host } = new URL(baseUrl);
  return `${protocol === 'https:' ? 'wss' : 'ws'}://${host}/ws/v1`;
}

/** What came back: the whole of it. */
export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
}

/** The data of a success. Throws APIError for a refusal, UnexpectedAnswer for what is no answer of the platform's. */
export function dataOf(answer: Answer): unknown {
  let content: unknown;
  try {
    content = JSON.parse(answer.text);
  } catch {
    throw new UnexpectedAnswer(`status ${answer.status} with a body that is not JSON`, answer.status);
  }
  if (typeof content !== 'object' || content === null || !('success' in content)) {
    throw new UnexpectedAnswer(`status ${answer.status} with a body that is not the platform's`, answer.status);
  }
  const { success, data, error } = content as { success: unknown; data?: unknown; error?: WireError };
  if (success === true) return data ?? {};
  throw refusal(answer, error ?? {});
}

export interface WireError {
  code?: string;
  message?: string;
  details?: Record<string, unknown>;
}

function refusal(answer: Answer, error: WireError): APIError {
  return apiError(error.code ?? 'UNKNOWN', error.message ?? '', {
    status: answer.status,
    details: error.details,
    retryAfter: seconds(answer.headers.get('retry-after')),
    requestId: answer.headers.get('x-request-id') ?? undefined,
  });
}

function seconds(text: string | null): number | undefined {
  if (text === null || text.trim() === '') return undefined;
  const value = Number(text);
  return Number.isFinite(value) ? Math.max(0, value) : undefined;
}

/**
 * Seconds to wait before the next try; undefined where there is none. `answer` undefined: no answer came.
 *
 * Only calls that are safe to repeat are repeated, and the platform's own `Retry-After` is kept.
 */
export function waitBeforeAgain(call: Call, answer: Answer | undefined, tries: number, most: number): number | undefined {
  const safe = call.http === 'GET' || call.idempotencyKey !== undefined;
  if (!safe || tries > most) return undefined;
  if (answer !== undefined && !TRIES_AGAIN_ON.has(answer.status)) return undefined;
  const asked = answer && seconds(answer.headers.get('retry-after'));
  if (asked !== undefined) return asked <= LONGEST_WAIT_S ? asked : undefined;
  return (0.5 + Math.random() / 2) * Math.min(0.25 * 2 ** tries, 8);
}
