/** Problem documents (RFC 9457): how every failure is told, with softc's own code, states, rule and fix. @module */
import { isSoftcError, SoftcError } from "../../mod.ts";

/** A problem document. */
export interface Problem {
  /** Where the code is explained. */
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  readonly code: string;
  readonly errno?: string | undefined;
  readonly state?: string | undefined;
  readonly wanted?: string | undefined;
  readonly rule?: string | undefined;
  readonly fix: string;
  /** What was wrong with the input, place by place. */
  readonly issues?: readonly { readonly at: string; readonly message: string }[] | undefined;
}

/** Status by code where the errno does not say enough. */
const BY_CODE: Readonly<Record<string, number>> = {
  SOFTC_API_TOKEN: 401,
  SOFTC_API_METHOD: 405,
  SOFTC_API_SIZE: 413,
  SOFTC_API_MEDIA: 415,
  SOFTC_API_LIMIT: 429,
  SOFTC_API_INTERNAL: 500,
  SOFTC_BOOT_DOWN: 503,
  SOFTC_MODULE_LOAD: 422,
  SOFTC_LAB_APPLY: 409,
};

const BY_ERRNO: Readonly<Record<string, number>> = {
  EINVAL: 400,
  EPERM: 403,
  ENOENT: 404,
  ENODEV: 409,
  EEXIST: 409,
  EBUSY: 409,
  EDEADLK: 409,
  ENXIO: 410,
  EOPNOTSUPP: 422,
  ENOBUFS: 503,
  ETIMEDOUT: 504,
  ENOMEM: 507,
};

const TITLE: Readonly<Record<number, string>> = {
  400: "Bad input",
  401: "No valid token",
  403: "Refused",
  404: "Not found",
  405: "Method not allowed",
  409: "In the way",
  410: "Gone",
  413: "Too large",
  415: "Wrong media type",
  422: "Cannot be done with this",
  429: "Too many requests",
  500: "Internal error",
  503: "Not available",
  504: "No answer in time",
  507: "Out of room",
};

/** An error with the places of bad input. */
export class InputError extends SoftcError {
  constructor(what: string, readonly issues: readonly { readonly at: string; readonly message: string }[]) {
    super("SOFTC_API_INPUT", `${what}: ${issues.map((i) => `${i.at || "body"}: ${i.message}`).join("; ")}`);
  }
}

/** The problem that an error is. What is not softc's own says nothing of its inside: no message, no stack. */
export function problemOf(e: unknown): Problem {
  const error = isSoftcError(e) ? e : new SoftcError("SOFTC_API_INTERNAL", "Cannot answer");
  const status = BY_CODE[error.code] ?? BY_ERRNO[error.errno ?? ""] ??
    (error.errno === undefined ? 500 : 409);
  return {
    type: `/api/error/${error.code}`,
    title: TITLE[status] ?? "Failed",
    status,
    // The message without its tail: that is told in members of its own.
    detail: error.message.replace(/ \[SOFTC_[^\]]*\]; fix: .*$/s, ""),
    code: error.code,
    errno: error.errno,
    state: error.state,
    wanted: error.wanted,
    rule: error.rule,
    fix: error.fix,
    issues: (error as InputError).issues,
  };
}

/** The problem as a response. */
export function problemResponse(e: unknown, headers: Record<string, string> = {}): Response {
  const problem = problemOf(e);
  return new Response(JSON.stringify(problem), {
    status: problem.status,
    headers: { "content-type": "application/problem+json", "cache-control": "no-store", ...headers },
  });
}
