/** Routes of devices: what is plugged in, and who has it. @module */
import { z } from "zod";
import type { DeviceId } from "../../mod.ts";
import type { System } from "../system.ts";
import { type Route, route } from "./route.ts";
import * as S from "./schemas.ts";

const WORD = z.string().regex(/^[\w.-]{1,64}$/, "letters, digits or . _ -");
const PLUG = z.strictObject({
  bus: WORD,
  address: WORD,
  vendor: z.int().min(0).max(0xffff).optional(),
  product: z.int().min(0).max(0xffff).optional(),
  serial: z.string().max(64).optional(),
  device: z.int().min(0).max(0xffff).optional().meta({
    description: "Kind of device, where the bus has them",
  }),
  parent: S.IF_ID.optional(),
  options: z.record(z.string(), z.json()).optional(),
  vnet: S.VNET_NAME.optional(),
  cpu: z.int().min(0).max(15).optional(),
}).meta({ id: "DevicePlug" });
const DEVICE = z.looseObject({
  name: z.string(),
  state: z.string(),
  driver: z.string().optional(),
  ifnets: z.array(z.string()),
}).meta({ id: "Device" });
const PULLED = z.object({
  name: z.string(),
  what: z.string(),
  replug: z.boolean().meta({ description: "Whether it can be plugged back from here" }),
}).meta({ id: "Unplugged" });
const NAME = z.strictObject({ device: z.string().min(1).max(140).meta({ description: "BUS:ADDRESS" }) });

/** Routes of devices, and of what was pulled out. */
export function devRoutes(system: System): Route[] {
  const { plugs } = system;
  const { devices } = system.kernel;
  return [
    route({
      method: "get",
      path: "/api/dev",
      summary: "Devices that are plugged in",
      reply: z.array(DEVICE),
      handle: () => devices.list(),
    }),
    route({
      method: "post",
      path: "/api/dev",
      summary: "Plugs a device in: the best driver takes it",
      body: PLUG,
      reply: DEVICE,
      status: 201,
      handle: ({ body: { vnet, cpu, parent, options, ...given } }) => {
        const told = Object.entries(given).filter(([, v]) => v !== undefined);
        return plugs.plug({
          id: Object.fromEntries(told) as unknown as DeviceId,
          vnet,
          cpu,
          parent,
          options,
        });
      },
    }),
    route({
      method: "delete",
      path: "/api/dev/{device}",
      summary: "Pulls it out; nobody can refuse",
      params: NAME,
      handle: async ({ params }) => void await plugs.unplugDevice(params.device),
    }),
    route({
      method: "get",
      path: "/api/dev/{device}/explain",
      summary: "Why a driver has it, or why none does",
      params: NAME,
      reply: z.object({ name: z.string(), bids: z.array(z.string()) }),
      handle: ({ params }) => ({
        name: params.device,
        bids: devices.explain(plugs.device(params.device)),
      }),
    }),
    route({
      method: "post",
      path: "/api/if/{id}/unplug",
      summary: "Pulls out its device, or all that the same create made; nobody can refuse",
      params: z.strictObject({ id: S.IF_ID }),
      reply: PULLED,
      handle: ({ params }) => plugs.unplug(params.id),
    }),
    route({
      method: "get",
      path: "/api/unplugged",
      summary: "What was pulled out",
      reply: z.array(PULLED),
      handle: () => plugs.list(),
    }),
    route({
      method: "post",
      path: "/api/unplugged/{name}/replug",
      summary: "Plugs it back in: as it was, its traffic too",
      params: z.strictObject({ name: z.string().min(1).max(140) }),
      reply: z.array(S.IFNET),
      handle: ({ params }) => plugs.replug(params.name),
    }),
  ];
}
