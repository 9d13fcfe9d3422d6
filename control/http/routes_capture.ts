/** Routes of captures: packets of an interface as a pcapng file. @module */
import { stream } from "hono/streaming";
import { z } from "zod";
import type { System } from "../system.ts";
import type { Streams } from "./live.ts";
import { type Route, route } from "./route.ts";
import * as S from "./schemas.ts";

const ID = z.strictObject({ id: z.string().min(1).max(16) });

/** Routes of captures. */
export function captureRoutes(system: System, streams: Streams): Route[] {
  const { captures } = system;
  return [
    route({
      method: "get",
      path: "/api/capture",
      summary: "Captures that are kept",
      reply: z.array(S.CAPTURE),
      handle: () => captures.list(),
    }),
    route({
      method: "post",
      path: "/api/capture",
      summary: "Captures an interface, until a limit is met or it goes",
      body: S.CAPTURE_START,
      reply: S.CAPTURE,
      status: 201,
      handle: ({ body: { ifnet, ...limits } }) => captures.start(system.ifnet(ifnet), limits),
    }),
    route({
      method: "get",
      path: "/api/capture/{id}",
      summary: "One capture",
      params: ID,
      reply: S.CAPTURE,
      handle: ({ params }) => captures.get(params.id),
    }),
    route({
      method: "post",
      path: "/api/capture/{id}/stop",
      summary: "Ends it; what it has is kept",
      params: ID,
      reply: S.CAPTURE,
      handle: async ({ params }) => {
        const capture = captures.get(params.id);
        await capture.stop();
        return capture;
      },
    }),
    route({
      method: "get",
      path: "/api/capture/{id}/pcapng",
      summary: "The file: what there is, and with follow what comes",
      params: ID,
      query: S.FOLLOW,
      media: "application/x-pcapng",
      reply: z.string(),
      handle: ({ c, params, query: { follow } }) => {
        const capture = captures.get(params.id);
        const left = new AbortController();
        const remove = streams.add(() => left.abort());
        c.header("content-type", "application/x-pcapng");
        c.header(
          "content-disposition",
          `attachment; filename="${capture.ifnet}-${capture.id}.pcapng"`,
        );
        return stream(c, async (out) => {
          out.onAbort(() => left.abort());
          try {
            for await (const chunk of capture.read(follow, left.signal)) await out.write(chunk);
          } finally {
            remove();
          }
        });
      },
    }),
    route({
      method: "delete",
      path: "/api/capture/{id}",
      summary: "Ends it and forgets it",
      params: ID,
      handle: ({ params }) => captures.delete(params.id),
    }),
  ];
}
