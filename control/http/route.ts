/**
 * Routes as data: one schema validates the input and describes it in the OpenAPI document.
 *
 * @module
 */
import type { Context, Hono } from "hono";
import type { z } from "zod";
import { isSoftcError, SoftcError } from "../../mod.ts";
import { InputError, problemResponse } from "./problem.ts";

/** Methods that routes have. */
export type Method = "get" | "post" | "put" | "patch" | "delete";

/** A route: what it takes, what it answers, and what it does. */
export interface RouteSpec<P, Q, B> {
  readonly method: Method;
  /** With parameters in braces: `/api/if/{id}`. */
  readonly path: string;
  readonly summary: string;
  /** Needs no token. */
  readonly open?: boolean;
  readonly params?: z.ZodType<P>;
  readonly query?: z.ZodType<Q>;
  readonly body?: z.ZodType<B>;
  /** What it answers; nothing (204) when left out. */
  readonly reply?: z.ZodType;
  /** Status of success: 200, or 204 without a reply, unless told. */
  readonly status?: 200 | 201 | 204;
  /** Media type of an answer that is not JSON. */
  readonly media?: string;
  /** Returns what is sent as JSON, or a whole response. */
  handle(input: { params: P; query: Q; body: B; c: Context }): unknown;
}

/** A route of any input. */
export type Route = RouteSpec<unknown, unknown, unknown>;

/** Keeps the inference of a route's input, and forgets it for the table. */
export function route<P = undefined, Q = undefined, B = undefined>(spec: RouteSpec<P, Q, B>): Route {
  return spec as unknown as Route;
}

/** Puts routes on an app; answers other methods of their paths with 405. */
export function mount(app: Hono, routes: readonly Route[], onError: (e: unknown) => void): void {
  for (const r of routes) {
    app.on(r.method.toUpperCase(), honoPath(r.path), (c) => answer(r, c, onError));
  }
  for (const path of new Set(routes.map((r) => r.path))) {
    const allow = routes.filter((r) => r.path === path).map((r) => r.method.toUpperCase());
    if (allow.includes("GET")) allow.push("HEAD");
    app.all(honoPath(path), (c) =>
      problemResponse(
        new SoftcError("SOFTC_API_METHOD", `Cannot ${c.req.method} ${path}`, {
          state: c.req.method,
          wanted: allow.join(", "),
        }),
        { allow: allow.join(", ") },
      ));
  }
}

function honoPath(path: string): string {
  return path.replace(/\{(\w+)\}/g, ":$1");
}

async function answer(r: Route, c: Context, onError: (e: unknown) => void): Promise<Response> {
  try {
    const params = parse(r.params, "path", c.req.param());
    const query = parse(r.query, "query", c.req.query());
    const body = r.body === undefined ? undefined : parse(r.body, "", await jsonBody(c));
    const result = await r.handle({ params, query, body, c });
    if (result instanceof Response) return result;
    if (r.reply === undefined) return c.body(null, 204);
    return c.json(result as object, r.status === 201 ? 201 : 200, { "cache-control": "no-store" });
  } catch (e) {
    if (!isSoftcError(e)) onError(e);
    return problemResponse(e);
  }
}

function parse(schema: z.ZodType | undefined, place: string, value: unknown): unknown {
  // A route without a query takes none: a misspelt option is never ignored.
  if (schema === undefined) {
    const keys = place === "query" ? Object.keys(value as object) : [];
    if (keys.length > 0) {
      throw new InputError(
        "Cannot take the query",
        keys.map((k) => ({ at: k, message: "no such parameter" })),
      );
    }
    return undefined;
  }
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  throw new InputError(
    `Cannot take the ${place || "body"}`,
    result.error.issues.map((i) => ({
      at: [place, ...i.path].filter((x) => x !== "").join("."),
      message: i.message,
    })),
  );
}

async function jsonBody(c: Context): Promise<unknown> {
  const type = (c.req.header("content-type") ?? "").split(";")[0]!.trim().toLowerCase();
  if (type !== "application/json") {
    throw new SoftcError("SOFTC_API_MEDIA", "Cannot read the body", {
      state: type || "no Content-Type",
      wanted: "application/json",
    });
  }
  try {
    return JSON.parse(await c.req.text());
  } catch (e) {
    if (isSoftcError(e)) throw e;
    throw new InputError("Cannot read the body", [{ at: "", message: "it is not JSON" }]);
  }
}
