// The client. Groups and their methods are generated (`generated.ts`).

import { type Answer, baseUrlOf, type Call, dataOf, made, type Operation, socketUrlOf, waitBeforeAgain } from './calls.js';
import { AuthenticationFailed, ConnectionFailed } from './errors.js';
import { Operations } from './generated.js';
import { LiveSocket, type SocketConstructor } from './socket.js';

export interface ClientOptions {
  /** An access token. */
  apiKey?: string;
  /** With it an expired access token is renewed by itself; `client.auth.login` keeps one too. */
  refreshToken?: string;
  /** Includes `/api/v1`. Defaults to the variable `NIJA_BASE_URL` where there is a process, then to the hosted platform. */
  baseUrl?: string;
  /** Bounds each try; 30,000. */
  timeoutMs?: number;
  /** How often a call that may be repeated is; 3. */
  maxRetries?: number;
  /** For runtimes without one of their own: that of the package `ws`. */
  WebSocket?: SocketConstructor;
  /** Instead of the runtime's own. */
  fetch?: typeof fetch;
}

export class NIJAClient extends Operations {
  readonly baseUrl: string;
  /** Live updates. */
  readonly ws: LiveSocket;
  readonly #fetch: typeof fetch;
  readonly #timeoutMs: number;
  readonly #maxRetries: number;
  #apiKey: string | undefined;
  #refreshToken: string | undefined;
  #renewing: Promise<void> | undefined;

  constructor(options: ClientOptions = {}) {
    super((operation) => this.#call(operation) as Promise<never>);
    this.baseUrl = baseUrlOf(options.baseUrl);
    this.#apiKey = options.apiKey;
    this.#refreshToken = options.refreshToken;
    this.#timeoutMs = options.timeoutMs ?? 30_000;
    this.#maxRetries = options.maxRetries ?? 3;
    this.#fetch = options.fetch ?? ((input, init) => fetch(input, init));
    this.ws = new LiveSocket(socketUrlOf(this.baseUrl), (renewed) => this.#socketToken(renewed), options.WebSocket);
  }

  /** The access token in use. A method, so that a client that is logged shows none. */
  apiKey(): string | undefined {
    return this.#apiKey;
  }

  async #call(operation: Operation): Promise<unknown> {
    const call = made(operation);
    const used = this.#apiKey;
    let data: unknown;
    try {
      data = dataOf(await this.#sent(call, used));
    } catch (error) {
      if (!this.#mayRenew(error, operation)) throw error;
      await this.#renew(used);
      data = dataOf(await this.#sent(call, this.#apiKey));
    }
    if (operation.name === 'auth.login' || operation.name === 'auth.refresh') this.#keep(data);
    return data;
  }

  #mayRenew(error: unknown, operation: Operation): boolean {
    const expired = error instanceof AuthenticationFailed && error.code === 'TOKEN_EXPIRED';
    return expired && this.#refreshToken !== undefined && operation.name !== 'auth.refresh';
  }

  /** Keeps the tokens of a login or a refresh. */
  #keep(data: unknown): void {
    const tokens = data as { access_token: string; refresh_token?: string };
    this.#apiKey = tokens.access_token;
    this.#refreshToken = tokens.refresh_token ?? this.#refreshToken;
  }

  /** A new access token, once for all calls that met the expired one. */
  async #renew(used: string | undefined): Promise<void> {
    if (this.#apiKey !== used) return;
    this.#renewing ??= this.#refreshed().finally(() => {
      this.#renewing = undefined;
    });
    await this.#renewing;
  }

  async #refreshed(): Promise<void> {
    const body = JSON.stringify({ refresh_token: this.#refreshToken });
    this.#keep(dataOf(await this.#sent({ http: 'POST', path: '/auth/refresh', body, idempotencyKey: undefined }, undefined)));
  }

  async #socketToken(renewed: boolean): Promise<string | undefined> {
    if (!renewed) return this.#apiKey;
    if (this.#refreshToken === undefined) return undefined;
    await this.#renew(this.#apiKey);
    return this.#apiKey;
  }

  async #sent(call: Call, token: string | undefined): Promise<Answer> {
    for (let tries = 1; ; tries += 1) {
      let answer: Answer | undefined;
      let failure: unknown;
      try {
        answer = await this.#tried(call, token);
      } catch (error) {
        failure = error;
      }
      const wait = waitBeforeAgain(call, answer, tries, this.#maxRetries);
      if (wait === undefined) {
        if (answer === undefined) throw new ConnectionFailed(`${call.http} ${call.path}: ${String(failure)}`, failure);
        return answer;
      }
      await new Promise((resolve) => setTimeout(resolve, 1000 * wait));
    }
  }

  async #tried(call: Call, token: string | undefined): Promise<Answer> {
    const headers: Record<string, string> = { Accept: 'application/json' };
    if (call.body !== undefined) headers['Content-Type'] = 'application/json';
    if (token) headers['Authorization'] = `Bearer ${token}`;
    if (call.idempotencyKey !== undefined) headers['Idempotency-Key'] = call.idempotencyKey;
    const response = await this.#fetch(`${this.baseUrl}${call.path}`, {
      method: call.http,
      headers,
      body: call.body ?? null,
      signal: AbortSignal.timeout(this.#timeoutMs),
    });
    return { status: response.status, headers: response.headers, text: await response.text() };
  }
}
