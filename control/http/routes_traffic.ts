/** Routes of traffic: streams of packets at full rate. @module */
import { z } from "zod";
import type { System } from "../system.ts";
import { type Route, route } from "./route.ts";
import * as S from "./schemas.ts";

/** Routes of traffic. */
export function trafficRoutes(system: System): Route[] {
  return [
    route({
      method: "get",
      path: "/api/traffic",
      summary: "Streams that run",
      reply: z.array(S.TRAFFIC),
      handle: () => [...system.traffic.values()].map((t) => t.spec),
    }),
    route({
      method: "post",
      path: "/api/traffic",
      summary: "Starts a stream",
      body: S.TRAFFIC,
      reply: S.TRAFFIC,
      status: 201,
      handle: async ({ body }) => {
        await system.startTraffic(body);
        return body;
      },
    }),
    route({
      method: "delete",
      path: "/api/traffic/{name}",
      summary: "Stops a stream; says what each CPU sent",
      params: z.strictObject({ name: z.string().min(1).max(64) }),
      reply: S.TRAFFIC_DONE,
      handle: ({ params }) => system.stopTraffic(params.name),
    }),
  ];
}
