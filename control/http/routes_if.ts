/** Routes of interfaces. @module */
import { z } from "zod";
import { formatHandle, type Ifnet } from "../../mod.ts";
import type { System } from "../system.ts";
import { type Route, route } from "./route.ts";
import * as S from "./schemas.ts";

const ID = z.strictObject({ id: S.IF_ID });

/** Routes of interfaces. */
export function ifRoutes(system: System): Route[] {
  const full = async (i: Ifnet): Promise<object> => {
    const { counters: driverCounters, late } = await i.readDriverCounters();
    return { ...i.toJSON(), driverCounters, late, why: i.why() };
  };
  return [
    route({
      method: "get",
      path: "/api/if",
      summary: "All interfaces, or those of a vnet",
      query: S.IN_VNET,
      reply: z.array(S.IFNET),
      handle: ({ query: { vnet } }) => vnet === undefined ? system.kernel.ifnets : system.vnet(vnet).ifnets,
    }),
    route({
      method: "post",
      path: "/api/if",
      summary: "Makes what a cloner makes: one interface, or a pair",
      body: S.CREATE,
      reply: z.array(S.IFNET),
      status: 201,
      handle: async ({ body: { up, ...spec } }) => {
        const made = await system.create(spec);
        try {
          if (up) { for (const i of made) await i.up(); }
        } catch (e) {
          // All of it or none: its driver refused to come up.
          await system.destroy(formatHandle(made[0].handle));
          throw e;
        }
        return made;
      },
    }),
    route({
      method: "get",
      path: "/api/if/{id}",
      summary: "One interface: counters, its driver's own too, asked of each CPU; what it waits for",
      params: ID,
      reply: S.IFNET_FULL,
      handle: ({ params }) => full(system.ifnet(params.id)),
    }),
    route({
      method: "patch",
      path: "/api/if/{id}",
      summary: "Changes options; what the driver refuses is rolled back",
      params: ID,
      body: S.CHANGE,
      reply: S.IFNET,
      handle: ({ params, body }) => system.set(params.id, body as Parameters<System["set"]>[1]),
    }),
    route({
      method: "delete",
      path: "/api/if/{id}",
      summary: "Destroys all that the same create made; the driver may refuse",
      params: ID,
      handle: ({ params }) => system.destroy(params.id),
    }),
    route({
      method: "post",
      path: "/api/if/{id}/up",
      summary: "Sets UP",
      params: ID,
      reply: S.IFNET,
      handle: async ({ params }) => {
        const i = system.ifnet(params.id);
        await i.up();
        return i;
      },
    }),
    route({
      method: "post",
      path: "/api/if/{id}/down",
      summary: "Clears UP",
      params: ID,
      reply: S.IFNET,
      handle: async ({ params }) => {
        const i = system.ifnet(params.id);
        await i.down();
        return i;
      },
    }),
    route({
      method: "post",
      path: "/api/if/{id}/vmove",
      summary: "Moves it to another vnet: all or nothing until it is unlinked",
      params: ID,
      body: S.VMOVE,
      reply: S.VMOVED,
      handle: ({ params, body: { vnet, name, up, flushMs } }) =>
        system.vmove(params.id, vnet, {
          ...(name === undefined ? {} : { name }),
          ...(up === undefined ? {} : { up }),
          ...(flushMs === undefined ? {} : { flushMs }),
        }),
    }),
    route({
      method: "post",
      path: "/api/if/{id}/detach",
      summary: "Detaches it; cannot be refused",
      params: ID,
      handle: ({ params }) => system.detach(params.id),
    }),
  ];
}
