// Live updates: `client.ws`. Reconnects, signs in again and goes on where it was, until it is closed.

import { AuthenticationFailed, ConnectionFailed, InvalidArgument, NIJAError } from './errors.js';
import { Conversation, type Handler, type LiveMessages } from './live.js';

/** The part of a browser's WebSocket that is used; `ws` for Node has it too. */
export interface SocketLike {
  onopen: ((event: never) => unknown) | null;
  onmessage: ((event: never) => unknown) | null;
  onerror: ((event: never) => unknown) | null;
  onclose: ((event: never) => unknown) | null;
  send(text: string): void;
  close(): void;
}

export type SocketConstructor = new (url: string) => SocketLike;

/** The token for a socket; a renewed one where the last was refused, undefined where it cannot be renewed. */
export type TokenSource = (renewed: boolean) => Promise<string | undefined>;

const OPEN_MS = 10_000;
// A browser tells nobody that a network has gone: after two beats without any message the connection counts as lost.
const BEAT_MS = 20_000;
const PING = JSON.stringify({ type: 'ping' });

export class LiveSocket {
  readonly #url: string;
  readonly #token: TokenSource;
  readonly #given: SocketConstructor | undefined;
  readonly #talk = new Conversation();
  #socket: SocketLike | undefined;
  #connecting: Promise<void> | undefined;
  #running = false;
  #wake: (() => void) | undefined;
  #beat: ReturnType<typeof setInterval> | undefined;

  constructor(url: string, token: TokenSource, given: SocketConstructor | undefined) {
    this.#url = url;
    this.#token = token;
    this.#given = given;
  }

  /** The function gets the data of every message of this type. Throws InvalidArgument for a type that does not exist. */
  on<K extends keyof LiveMessages>(kind: K, handler: Handler<K>): this {
    const asked = this.#talk.on(kind, handler);
    if (asked !== undefined) this.#socket?.send(asked);
    return this;
  }

  /**
   * Connects, signs in, subscribes to what has handlers, and resolves. Messages go on coming until `close`.
   *
   * Rejects with AuthenticationFailed, ConnectionFailed, and RateLimited or ServerError where it may work later.
   */
  connect(): Promise<void> {
    if (this.#connecting === undefined) {
      this.#running = true;
      const connecting = this.#opened().catch((error: unknown) => {
        this.#running = false;
        this.#connecting = undefined;
        throw error;
      });
      this.#connecting = connecting;
    }
    return this.#connecting;
  }

  /** Ends it. */
  close(): void {
    this.#running = false;
    this.#connecting = undefined;
    this.#wake?.();
    clearInterval(this.#beat);
    this.#socket?.close();
    this.#socket = undefined;
  }

  /** A connection that is signed in and subscribed. A refused token is renewed once where that is possible. */
  async #opened(): Promise<void> {
    const kind = await this.#socketKind();
    try {
      await this.#signedIn(kind, await this.#token(false));
    } catch (error) {
      const renewed = error instanceof AuthenticationFailed ? await this.#token(true) : undefined;
      if (renewed === undefined) throw error;
      await this.#signedIn(kind, renewed);
    }
  }

  #signedIn(kind: SocketConstructor, token: string | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const socket = new kind(this.#url);
      const fail = (error: unknown): void => {
        clearTimeout(late);
        socket.onmessage = null;
        socket.onclose = null;
        socket.close();
        reject(error);
      };
      const late = setTimeout(() => fail(new ConnectionFailed(`${this.#url}: no answer in time`)), OPEN_MS);
      socket.onopen = () => socket.send(this.#talk.auth(token));
      socket.onerror = () => undefined; // What there is to know of a failure comes with the close.
      socket.onclose = (event: { code?: number }) => {
        fail(new ConnectionFailed(`${this.#url}: closed before it was signed in (${event.code ?? 'no code'})`));
      };
      socket.onmessage = (event: { data: unknown }) => {
        try {
          this.#talk.signedIn(event.data);
        } catch (error) {
          fail(error);
          return;
        }
        clearTimeout(late);
        if (this.#running) this.#follow(socket);
        else fail(new ConnectionFailed(`${this.#url}: closed by this end`));
        resolve();
      };
    });
  }

  /** Subscribes, and passes messages on until the connection ends; then another one is made. */
  #follow(socket: SocketLike): void {
    this.#socket = socket;
    let silent = 0;
    const lost = (): void => {
      if (this.#socket !== socket) return;
      clearInterval(this.#beat);
      this.#socket = undefined;
      void this.#again();
    };
    this.#beat = setInterval(() => {
      silent += 1;
      if (silent <= 2) {
        socket.send(PING);
      } else {
        lost();
        socket.close();
      }
    }, BEAT_MS);
    socket.onmessage = (event: { data: unknown }) => {
      silent = 0;
      try {
        this.#talk.heard(event.data);
      } catch (error) {
        console.warn(String(error));
        socket.close();
      }
    };
    socket.onclose = lost;
    for (const asked of this.#talk.subscriptions()) socket.send(asked);
  }

  /** Tries until there is a connection again, the socket is closed, or the token is refused for good. */
  async #again(): Promise<void> {
    while (this.#running) {
      await this.#pause();
      if (!this.#running) return;
      try {
        await this.#opened();
        return;
      } catch (error) {
        if (error instanceof AuthenticationFailed || !(error instanceof NIJAError)) {
          this.#running = false;
          this.#connecting = undefined;
          this.#talk.ended(error instanceof NIJAError ? error : new ConnectionFailed(String(error), error));
          return;
        }
      }
    }
  }

  #pause(): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, this.#talk.pauseMs());
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  /** The one given, the runtime's own, or that of the package `ws` where it is installed: Node 20 has none. */
  async #socketKind(): Promise<SocketConstructor> {
    const own = this.#given ?? (globalThis as { WebSocket?: SocketConstructor }).WebSocket;
    if (own !== undefined) return own;
    const name = 'ws';
    try {
      const found = (await import(/* webpackIgnore: true */ /* @vite-ignore */ name)) as { WebSocket: SocketConstructor };
      return found.WebSocket;
    } catch {
      throw new InvalidArgument('this runtime has no WebSocket: install the package ws, or pass the option WebSocket');
    }
  }
}
