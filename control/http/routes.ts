/** Every route of the API, as one table. @module */
import { z } from "zod";
import { CODES, DROP_TEXT } from "../../mod.ts";
import type { System } from "../system.ts";
import type { Guard } from "./guard.ts";
import { live, Sampler, type Streams } from "./live.ts";
import { metrics } from "./metrics.ts";
import { pageRoutes } from "../page/files.ts";
import { openapi } from "./openapi.ts";
import { type Route, route } from "./route.ts";
import { captureRoutes } from "./routes_capture.ts";
import { devRoutes } from "./routes_dev.ts";
import { ifRoutes } from "./routes_if.ts";
import { labRoutes } from "./routes_lab.ts";
import { moduleRoutes } from "./routes_module.ts";
import { trafficRoutes } from "./routes_traffic.ts";
import { vnetRoutes } from "./routes_vnet.ts";
import * as S from "./schemas.ts";

/** The routes of one system. */
export function routesOf(system: System, guard: Guard, streams: Streams): Route[] {
  const { kernel } = system;
  const sampler = new Sampler(system);
  const routes: Route[] = [
    route({
      method: "get",
      path: "/health",
      summary: "Whether it is up",
      open: true,
      reply: S.HEALTH,
      handle: () => ({
        status: "ok",
        cpus: kernel.cpus,
        uptimeSeconds: Math.round((Date.now() - system.startedAt) / 1000),
      }),
    }),
    route({
      method: "get",
      path: "/openapi.json",
      summary: "This document",
      open: true,
      reply: z.looseObject({}),
      handle: () => document,
    }),
    route({
      method: "get",
      path: "/metrics",
      summary: "Metrics for Prometheus",
      media: "text/plain",
      reply: z.string(),
      handle: async ({ c }) =>
        c.text(metrics(system, await system.ledger(), streams), 200, {
          "content-type": "text/plain; version=0.0.4; charset=utf-8",
        }),
    }),
    route({
      method: "post",
      path: "/api/session",
      summary: "Swaps the token for a cookie",
      handle: ({ c }) => guard.startSession(c),
    }),
    route({
      method: "delete",
      path: "/api/session",
      summary: "Ends the cookie's session",
      handle: ({ c }) => guard.endSession(c),
    }),
    route({
      method: "get",
      path: "/api/live",
      summary: "Server-sent events: a snapshot, then every event; samples of the counters each second",
      media: "text/event-stream",
      reply: z.string(),
      handle: ({ c }) => live(c, system, streams, sampler),
    }),
    route({
      method: "get",
      path: "/api/ledger",
      summary: "The books: every packet's life begun and ended",
      reply: S.LEDGER,
      handle: () => system.ledger(),
    }),
    route({
      method: "get",
      path: "/api/epoch",
      summary: "Grace periods, and who holds what since when",
      reply: S.EPOCH,
      handle: () => ({
        gracePeriods: kernel.gracePeriods,
        callbacks: kernel.pendingCallbacks,
        blame: kernel.blame(),
      }),
    }),
    route({
      method: "get",
      path: "/api/error/{code}",
      summary: "What an error code means",
      params: z.strictObject({ code: S.ERROR_CODE }),
      reply: S.ERROR,
      handle: ({ params: { code } }) => ({ code, ...CODES[code] }),
    }),
    route({
      method: "get",
      path: "/api/drop",
      summary: "What each drop reason means",
      reply: z.record(z.string(), z.string()),
      handle: () => DROP_TEXT,
    }),
    ...ifRoutes(system),
    ...captureRoutes(system, streams),
    ...vnetRoutes(system),
    ...moduleRoutes(system),
    ...devRoutes(system),
    ...trafficRoutes(system),
    ...labRoutes(system),
    ...pageRoutes(),
  ];
  const document = openapi(routes);
  return routes;
}
