/**
 * Who may call: the token, the Host and Origin of the call, how much and how often.
 *
 * 1. The Host must be one of the server's own: a page that made a foreign name resolve to this address (DNS
 *    rebinding) sends that name.
 * 2. An Origin, where one is sent, must be the server's own: no other site's page gets in, cookie or not.
 * 3. A cookie alone writes nothing: a write that carries it must carry the Origin too.
 * 4. The token is compared by hash, in constant time. A session is another secret than the token, so that a
 *    cookie does not tell it; it ends with the server.
 *
 * @module
 */
import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import type { Context, MiddlewareHandler } from "hono";
import { getCookie, setCookie } from "hono/cookie";
import { SoftcError } from "../../mod.ts";
import { problemResponse } from "./problem.ts";

/** Limits of a server. What is beyond is refused: a body with `SOFTC_API_SIZE`, the rest with `SOFTC_API_LIMIT`. */
export interface Limits {
  /** Bytes of a request's body; 262,144 unless told. */
  readonly bodyBytes: number;
  /** Requests per second, sustained, of all that hold the token; a second's worth may come at once. 5000 unless told. */
  readonly requestsPerSecond: number;
  /** The same for requests without a valid token; 50 unless told. */
  readonly strangersPerSecond: number;
  /** Live streams and captures open at once; 512 unless told. */
  readonly streams: number;
}

/** The limits unless told. */
export const LIMITS: Limits = {
  bodyBytes: 256 * 1024,
  requestsPerSecond: 5000,
  strangersPerSecond: 50,
  streams: 512,
};

const SESSIONS = 64;
const READS = new Set(["GET", "HEAD", "OPTIONS"]);

/** Makes a secret of 256 bits. */
export function makeToken(): string {
  return randomBytes(32).toString("base64url");
}

/** The door of a server. */
export class Guard {
  /** Host headers that are the server's own; filled once it listens. */
  readonly hosts = new Set<string>();
  readonly #token: Buffer;
  /** Hashes of session secrets, oldest first. */
  readonly #sessions = new Map<string, true>();
  readonly #friends: Bucket;
  readonly #strangers: Bucket;

  constructor(token: string, readonly limits: Limits, now: () => number = () => performance.now()) {
    this.#token = hash(token);
    this.#friends = new Bucket(limits.requestsPerSecond, now);
    this.#strangers = new Bucket(limits.strangersPerSecond, now);
  }

  /** Checks every request; `open` says which paths need no token. */
  middleware(open: (c: Context) => boolean): MiddlewareHandler {
    return async (c, next) => {
      const refused = this.#check(c, open(c));
      if (refused !== undefined) return refused;
      await next();
    };
  }

  /** Gives the caller, who showed the token, a session of its own. */
  startSession(c: Context): void {
    const secret = makeToken();
    this.#sessions.set(hash(secret).toString("hex"), true);
    if (this.#sessions.size > SESSIONS) this.#sessions.delete(this.#sessions.keys().next().value!);
    setCookie(c, this.#cookie(c), secret, { httpOnly: true, sameSite: "Strict", path: "/" });
  }

  /** Ends the caller's session. */
  endSession(c: Context): void {
    const secret = getCookie(c, this.#cookie(c));
    if (secret !== undefined) this.#sessions.delete(hash(secret).toString("hex"));
    setCookie(c, this.#cookie(c), "", { httpOnly: true, sameSite: "Strict", path: "/", maxAge: 0 });
  }

  #check(c: Context, open: boolean): Response | undefined {
    const host = (c.req.header("host") ?? "").toLowerCase();
    const origin = c.req.header("origin");
    const known = this.#identify(c);
    const wait = (known === undefined ? this.#strangers : this.#friends).take();
    if (!this.hosts.has(host)) {
      return problemResponse(
        new SoftcError("SOFTC_API_HOST", "Cannot answer under this host", {
          state: host || "no Host",
          wanted: [...this.hosts].join(" or "),
        }),
      );
    }
    if (origin !== undefined && origin !== `http://${host}`) {
      return problemResponse(
        new SoftcError("SOFTC_API_ORIGIN", "Cannot answer to this origin", {
          state: origin,
          wanted: `http://${host}`,
        }),
      );
    }
    if (open) return undefined;
    if (wait > 0) {
      return problemResponse(
        new SoftcError("SOFTC_API_LIMIT", "Cannot answer that often", {
          state: "the limit is reached",
          wanted: `${(known === undefined
            ? this.limits.strangersPerSecond
            : this.limits.requestsPerSecond)} per second`,
        }),
        { "retry-after": String(Math.ceil(wait)) },
      );
    }
    if (known === undefined) {
      return problemResponse(
        new SoftcError("SOFTC_API_TOKEN", "Cannot answer", { state: "no valid token", wanted: "the token" }),
        { "www-authenticate": "Bearer" },
      );
    }
    if (known === "cookie" && origin === undefined && !READS.has(c.req.method)) {
      return problemResponse(
        new SoftcError("SOFTC_API_ORIGIN", "Cannot change anything by cookie alone", {
          state: "no Origin",
          wanted: `http://${host}`,
        }),
      );
    }
    return undefined;
  }

  #identify(c: Context): "token" | "cookie" | undefined {
    const bearer = /^Bearer ([\w-]{1,128})$/i.exec(c.req.header("authorization") ?? "")?.[1];
    if (bearer !== undefined) return timingSafeEqual(hash(bearer), this.#token) ? "token" : undefined;
    const secret = getCookie(c, this.#cookie(c));
    // Looked up by hash: what the look-up's time tells is nothing about the secret.
    return secret !== undefined && this.#sessions.has(hash(secret).toString("hex")) ? "cookie" : undefined;
  }

  /** Cookies do not know ports: two servers on one machine must not share a name. */
  #cookie(c: Context): string {
    return `softc_${/:(\d+)$/.exec(c.req.header("host") ?? "")?.[1] ?? "0"}`;
  }
}

/** A token bucket that holds one second's worth. */
class Bucket {
  #level: number;
  #at: number;

  constructor(readonly rate: number, readonly now: () => number) {
    this.#level = rate;
    this.#at = now();
  }

  /** Takes one; 0, or the seconds until there is one. */
  take(): number {
    const t = this.now();
    this.#level = Math.min(this.rate, this.#level + (t - this.#at) / 1000 * this.rate);
    this.#at = t;
    if (this.#level < 1) return (1 - this.#level) / this.rate;
    this.#level--;
    return 0;
  }
}

function hash(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}
