/** Routes of devices: what is plugged in, and who has it. @module */
import { z } from "zod";
import { type PluggedDevice, SoftcError } from "../../mod.ts";
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
  vnet: S.VNET_NAME.optional(),
  cpu: z.int().min(0).max(15).optional(),
}).meta({ id: "DevicePlug" });
const DEVICE = z.looseObject({
  name: z.string(),
  state: z.string(),
  driver: z.string().optional(),
  ifnets: z.array(z.string()),
}).meta({ id: "Device" });
const NAME = z.strictObject({ device: z.string().min(1).max(140).meta({ description: "BUS:ADDRESS" }) });

/** Routes of devices. */
export function devRoutes(system: System): Route[] {
  const { devices } = system.kernel;
  const find = (name: string): PluggedDevice => {
    const found = devices.list().find((d) => d.name === name);
    if (found !== undefined) return found;
    throw new SoftcError("SOFTC_DEV_GONE", `Cannot find the device "${name}"`, {
      state: `plugged in: ${devices.list().map((d) => d.name).join(", ") || "none"}`,
    });
  };
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
      handle: ({ body: { bus, address, vendor, product, serial, vnet, cpu } }) =>
        devices.plug({
          bus,
          address,
          ...(vendor === undefined ? {} : { vendor }),
          ...(product === undefined ? {} : { product }),
          ...(serial === undefined ? {} : { serial }),
        }, {
          ...(vnet === undefined ? {} : { vnet: system.vnet(vnet) }),
          ...(cpu === undefined ? {} : { cpu }),
        }),
    }),
    route({
      method: "delete",
      path: "/api/dev/{device}",
      summary: "Pulls it out; nobody can refuse",
      params: NAME,
      handle: ({ params }) => devices.unplug(find(params.device)),
    }),
    route({
      method: "get",
      path: "/api/dev/{device}/explain",
      summary: "Why a driver has it, or why none does",
      params: NAME,
      reply: z.object({ name: z.string(), bids: z.array(z.string()) }),
      handle: ({ params }) => ({ name: params.device, bids: devices.explain(find(params.device)) }),
    }),
  ];
}
