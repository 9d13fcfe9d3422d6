/** The API as a hono app. @module */
import { type Context, Hono } from "hono";
import { bodyLimit } from "hono/body-limit";
import { secureHeaders } from "hono/secure-headers";
import { SoftcError } from "../../mod.ts";
import type { System } from "../system.ts";
import type { Guard } from "./guard.ts";
import type { Streams } from "./live.ts";
import { problemResponse } from "./problem.ts";
import { mount } from "./route.ts";
import { routesOf } from "./routes.ts";

/** Makes the app. `onError` hears of what is not softc's own; the client does not. */
export function createApp(
  system: System,
  guard: Guard,
  streams: Streams,
  onError: (e: unknown) => void,
): Hono {
  const routes = routesOf(system, guard, streams);
  const openPaths = new Set(routes.filter((r) => r.open === true).map((r) => r.path));
  const app = new Hono();
  app.use(secureHeaders({
    contentSecurityPolicy: {
      defaultSrc: ["'none'"],
      scriptSrc: ["'self'"],
      styleSrc: ["'self'"],
      imgSrc: ["'self'", "data:"],
      connectSrc: ["'self'"],
      baseUri: ["'none'"],
      formAction: ["'none'"],
      frameAncestors: ["'none'"],
    },
    strictTransportSecurity: false,
  }));
  app.use(guard.middleware((c) => openPaths.has(c.req.path)));
  app.use(bodyLimit({
    maxSize: guard.limits.bodyBytes,
    onError: () =>
      problemResponse(
        new SoftcError("SOFTC_API_SIZE", "Cannot take the body", {
          state: "too many bytes",
          wanted: `at most ${guard.limits.bodyBytes}`,
        }),
      ),
  }));
  mount(app, routes, onError);
  app.notFound((c: Context) =>
    problemResponse(
      new SoftcError("SOFTC_API_UNKNOWN", `Cannot find ${c.req.path}`, { state: "no such path" }),
    )
  );
  app.onError((e) => {
    onError(e);
    return problemResponse(e);
  });
  return app;
}
