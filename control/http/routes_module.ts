/** Routes of modules. @module */
import { z } from "zod";
import type { System } from "../system.ts";
import { type Route, route } from "./route.ts";
import * as S from "./schemas.ts";

const NAME = z.strictObject({ name: z.string().min(1).max(64) });

/** Routes of modules. */
export function moduleRoutes(system: System): Route[] {
  return [
    route({
      method: "get",
      path: "/api/module",
      summary: "All modules",
      reply: z.array(S.MODULE),
      handle: () => system.kernel.modules.list(),
    }),
    route({
      method: "post",
      path: "/api/module",
      summary: "Loads a module from an allowed place, on every CPU",
      body: S.MODULE_LOAD,
      reply: S.MODULE,
      status: 201,
      handle: ({ body }) => system.load(body),
    }),
    route({
      method: "get",
      path: "/api/module/{name}",
      summary: "One module",
      params: NAME,
      reply: S.MODULE,
      handle: ({ params }) => system.module(params.name),
    }),
    route({
      method: "delete",
      path: "/api/module/{name}",
      summary: "Unloads it: refuses while in use, drains, or drains without asking",
      params: NAME,
      query: S.UNLOAD,
      handle: ({ params, query }) => system.unload(params.name, query.mode),
    }),
    route({
      method: "get",
      path: "/api/module/{name}/explain",
      summary: "What keeps it from being unloaded",
      params: NAME,
      reply: z.object({ name: z.string(), blockers: z.array(z.string()) }),
      handle: async ({ params: { name } }) => ({
        name,
        blockers: await system.kernel.modules.explain(system.module(name)),
      }),
    }),
  ];
}
