/** Routes of vnets. @module */
import { z } from "zod";
import type { System } from "../system.ts";
import { type Route, route } from "./route.ts";
import * as S from "./schemas.ts";

const NAME = z.strictObject({ name: S.VNET_NAME });

/** Routes of vnets. */
export function vnetRoutes(system: System): Route[] {
  return [
    route({
      method: "get",
      path: "/api/vnet",
      summary: "All vnets",
      reply: z.array(S.VNET),
      handle: () => system.kernel.vnets,
    }),
    route({
      method: "post",
      path: "/api/vnet",
      summary: "Makes a vnet",
      body: S.VNET_CREATE,
      reply: S.VNET,
      status: 201,
      handle: async ({ body: { name, parent, discard } }) => {
        const v = await system.createVnet(name, parent);
        if (discard) system.setDiscard(name, true);
        return v;
      },
    }),
    route({
      method: "get",
      path: "/api/vnet/{name}",
      summary: "One vnet",
      params: NAME,
      reply: S.VNET,
      handle: ({ params }) => system.vnet(params.name),
    }),
    route({
      method: "delete",
      path: "/api/vnet/{name}",
      summary: "Destroys it: what it borrowed goes home, what it owns is destroyed",
      params: NAME,
      handle: ({ params }) => system.destroyVnet(params.name),
    }),
  ];
}
