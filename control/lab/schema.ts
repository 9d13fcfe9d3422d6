/**
 * The shape of a lab file. The same schema validates it and is published as `lab.schema.json`.
 *
 * @module
 */
import { z } from "zod";
import { SoftcError } from "../../mod.ts";
import { IF_ID, IF_NAME, MODULE_LOAD, TRAFFIC, VNET_NAME } from "../http/schemas.ts";

/** A static route of a lab. */
export interface LabRoute {
  /** The network: `10.1.0.0/16`, by its own address; `0.0.0.0/0` is the default. */
  readonly to: string;
  /** A router's address, an interface of the vnet, or `reject`. */
  readonly via: string;
}

/** A module of a lab, and where its drivers run. */
export interface LabModule {
  /** `softc:NAME`, a URL, a path or a package name. */
  readonly module: string;
  /** In a worker of its own, a driver host, instead of on the kernel's CPUs; false unless told. */
  readonly host?: boolean | undefined;
}

/** A vnet of a lab. */
export interface LabVnet {
  /** The vnet that it is made in; vnet0 unless told. */
  readonly parent?: string | undefined;
  /** Takes and throws away every valid packet (RFC 863); false unless told. */
  readonly discard: boolean;
  /** Sends on what is for others: it is a router. False unless told. */
  readonly forwarding?: boolean | undefined;
  /** Routes beside those that come with addresses. */
  readonly routes?: readonly LabRoute[] | undefined;
}

/** What a lab wants of an interface beside its making. */
export interface LabEnd {
  /** The vnet that it is in. */
  readonly vnet: string;
  /** Whether it is UP; true unless told. */
  readonly up: boolean;
  /** Addresses with their prefix lengths: `10.0.0.1/24`, `2001:db8::1/64`. */
  readonly addresses?: readonly string[] | undefined;
  /** Bytes of payload, 72 to 1958; the driver's unless told. */
  readonly mtu?: number | undefined;
}

/** One interface of a lab. */
export interface LabInterface extends LabEnd {
  /** Its name. */
  readonly name: string;
  /** The cloner that makes it. */
  readonly cloner: string;
  /** The vnet that it is made in, when that is another: it is then lent to `vnet`. */
  readonly home?: string | undefined;
  /** Its home CPU, from 0 on; chosen unless told. */
  readonly cpu?: number | undefined;
  /** The driver's options. */
  readonly options?: Readonly<Record<string, unknown>> | undefined;
}

/** An emulated link of a lab, each way. The same seed loses the same packets. */
export interface LabNetem {
  /** Of the losses' order, from 0 on; 1 unless told. */
  readonly seed?: number | undefined;
  /** Probability that a packet is lost, 0 to 1; 0 unless told. */
  readonly loss?: number | undefined;
  /** Packets per second; what is above waits in a queue, and is dropped when that is full. No limit unless told. */
  readonly rate?: number | undefined;
  /** Milliseconds that a packet is under way, up to 60,000; 0 unless told. */
  readonly delay?: number | undefined;
  /** Packets under way at most, 1 to 65,536; what is above is lost. 1000 unless told. */
  readonly limit?: number | undefined;
}

/** A pair of interfaces, joined: its ends are called `NAMEa` and `NAMEb`; the first end's vnet is home of both. */
export interface LabLink {
  /** Name of the pair, 1 to 14 characters. */
  readonly name: string;
  /** The cloner that makes both; `epair` unless told. */
  readonly cloner: string;
  /** Home CPU of both, from 0 on; chosen unless told. */
  readonly cpu?: number | undefined;
  /** The driver's options. */
  readonly options?: Readonly<Record<string, unknown>> | undefined;
  /** What the link is like each way: it is then made by the driver `link`. */
  readonly netem?: LabNetem | undefined;
  /** The two ends. */
  readonly ends: readonly LabEnd[];
}

/** A stream of packets of a lab: UDP in IPv4, to the port discard (RFC 863). */
export interface LabTraffic {
  /** Its name. */
  readonly name: string;
  /** The vnet that sends. */
  readonly vnet: string;
  /** The interface that sends. */
  readonly ifnet: string;
  /** Bytes of each frame without its check sequence, 60 to 1514; 64 unless told. */
  readonly bytes: number;
  /** Destination; broadcast unless told. */
  readonly mac?: string | undefined;
  /** IPv4 source; 192.0.2.1 unless told (RFC 5737). */
  readonly from?: string | undefined;
  /** IPv4 destination; 192.0.2.2 unless told. */
  readonly to?: string | undefined;
  /** CPUs that send; all but CPU 0 unless told. */
  readonly cpus?: readonly number[] | undefined;
  /** Packets per batch, 1 to 256; 32 unless told. */
  readonly batch?: number | undefined;
  /** Packets per CPU; endless unless told. */
  readonly count?: number | undefined;
  /** Packets per second and CPU; as many as go unless told. */
  readonly rate?: number | undefined;
}

/** A lab: the whole system, declared. What it does not name is taken down. */
export interface Lab {
  /** Where editors find the schema. */
  readonly $schema?: string | undefined;
  /** What people call it. */
  readonly name?: string | undefined;
  /** CPUs of the kernel, 1 to 16; read at start only. An apply takes no other number. */
  readonly cpus?: number | undefined;
  /** Modules to load; built-in ones that a cloner needs are loaded unasked. */
  readonly modules: readonly (string | LabModule)[];
  /** Vnets, by name; vnet0 is always there. */
  readonly vnets: Readonly<Record<string, LabVnet>>;
  /** Single interfaces. */
  readonly interfaces: readonly LabInterface[];
  /** Pairs of interfaces. */
  readonly links: readonly LabLink[];
  /** Streams of packets. */
  readonly traffic: readonly LabTraffic[];
}

const MTU = z.int().min(72).max(1958);
const CPU = z.int().min(0).max(15);
const CLONER = z.string().min(1).max(32);
const OPTIONS = z.record(z.string(), z.json());
const NETEM = z.strictObject({
  seed: z.int().min(0).max(2 ** 31 - 1).optional(),
  loss: z.number().min(0).max(1).optional(),
  rate: z.number().min(1).max(1e9).optional(),
  delay: z.number().min(0).max(60_000).optional(),
  limit: z.int().min(1).max(65_536).optional(),
}).meta({ description: "Emulated link, each way: loss 0 to 1, rate in packets per second, delay in ms" });
const CIDR = z.union([z.cidrv4(), z.cidrv6()]);
const ROUTE = z.strictObject({ to: CIDR, via: z.string().min(1).max(64) });
const END = z.strictObject({
  vnet: VNET_NAME,
  up: z.boolean().default(true),
  mtu: MTU.optional(),
  addresses: z.array(CIDR.refine((a) => !/^fe[89ab]/i.test(a), "link-local addresses come by themselves"))
    .optional(),
});

/** The schema. */
export const LAB: z.ZodType<Lab> = z.strictObject({
  $schema: z.string().optional(),
  name: z.string().max(64).optional(),
  cpus: z.int().min(1).max(16).optional(),
  modules: z.array(z.union([z.string().min(1).max(1024), MODULE_LOAD])).default([]),
  vnets: z.record(
    VNET_NAME,
    z.strictObject({
      parent: VNET_NAME.optional(),
      discard: z.boolean().default(false),
      forwarding: z.boolean().optional(),
      routes: z.array(ROUTE).optional(),
    }),
  ).default({}),
  interfaces: z.array(END.extend({
    name: IF_NAME,
    cloner: CLONER,
    home: VNET_NAME.optional(),
    cpu: CPU.optional(),
    options: OPTIONS.optional(),
  })).default([]),
  links: z.array(z.strictObject({
    name: z.string().regex(
      /^[a-zA-Z][a-zA-Z0-9_.-]{0,13}$/,
      "1 to 14 letters, digits or . _ -, a letter first",
    ),
    cloner: CLONER.default("epair"),
    cpu: CPU.optional(),
    options: OPTIONS.optional(),
    netem: NETEM.optional(),
    ends: z.array(END).length(2),
  })).default([]),
  traffic: z.array(TRAFFIC.extend({ ifnet: IF_ID })).default([]),
}).superRefine((lab, ctx) => {
  for (const { at, message } of dangling(lab)) ctx.addIssue({ code: "custom", path: at, message });
}).meta({ id: "Lab" });

/** Names that nothing has, and names that two have. */
function dangling(lab: Lab): { at: (string | number)[]; message: string }[] {
  const issues: { at: (string | number)[]; message: string }[] = [];
  const vnet = (name: string | undefined, ...at: (string | number)[]): void => {
    if (name === undefined || name === "vnet0" || Object.hasOwn(lab.vnets, name)) return;
    issues.push({ at, message: `there is no vnet "${name}" in the lab` });
  };
  const names = new Set<string>();
  const unique = (name: string, ...at: (string | number)[]): void => {
    if (names.has(name)) issues.push({ at, message: `two things are called "${name}"` });
    names.add(name);
  };
  for (const [name, v] of Object.entries(lab.vnets)) {
    vnet(v.parent, "vnets", name, "parent");
    // A vnet that is its own ancestor can never be made.
    const seen = new Set([name]);
    for (let p = v.parent; p !== undefined && p !== "vnet0"; p = lab.vnets[p]?.parent) {
      if (seen.has(p)) {
        issues.push({ at: ["vnets", name, "parent"], message: "it is inside itself" });
        break;
      }
      seen.add(p);
    }
    if (name === "vnet0") issues.push({ at: ["vnets", name], message: "vnet0 is always there" });
  }
  lab.interfaces.forEach((x, i) => {
    vnet(x.vnet, "interfaces", i, "vnet");
    vnet(x.home, "interfaces", i, "home");
    unique(`${x.vnet}:${x.name}`, "interfaces", i, "name");
  });
  lab.links.forEach((x, i) => {
    if (x.netem !== undefined && (x.cloner !== "epair" || x.options !== undefined)) {
      issues.push({ at: ["links", i, "netem"], message: "the driver link makes it: no cloner, no options" });
    }
    x.ends.forEach((end, n) => {
      vnet(end.vnet, "links", i, "ends", n, "vnet");
      unique(`${end.vnet}:${x.name}${"ab"[n]}`, "links", i, "name");
    });
  });
  const streams = new Set<string>();
  lab.traffic.forEach((t, i) => {
    if (streams.has(t.name)) {
      issues.push({ at: ["traffic", i, "name"], message: `two streams are called "${t.name}"` });
    }
    streams.add(t.name);
    if (!names.has(`${t.vnet}:${t.ifnet}`)) {
      issues.push({
        at: ["traffic", i, "ifnet"],
        message: `there is no "${t.ifnet}" in vnet "${t.vnet}" of the lab`,
      });
    }
  });
  return issues;
}

/**
 * Reads a lab from its JSON; fills in what has a default. Touches no kernel.
 *
 * @example
 * ```ts
 * import { boot } from "@softc/softc";
 * import { parseLab, serveControl } from "@softc/softc/control";
 *
 * const lab = parseLab(`{
 *   "vnets": { "lan": {} },
 *   "interfaces": [{ "name": "lo0", "vnet": "lan", "cloner": "lo", "addresses": ["127.0.0.1/8"] }]
 * }`);
 * await using kernel = await boot({ cpus: lab.cpus ?? 1 });
 * const server = await serveControl(kernel);
 * console.log(await server.apply(lab));
 * await server.close();
 * ```
 * @param from what errors call it
 * @throws {SoftcError} `SOFTC_LAB_BAD`, naming each place
 */
export function parseLab(text: string, from = "the lab"): Lab {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (e) {
    throw new SoftcError("SOFTC_LAB_BAD", `Cannot read ${from}: ${(e as Error).message}`);
  }
  const result = LAB.safeParse(value);
  if (result.success) return result.data;
  const issues = result.error.issues.map((i) => `${i.path.join(".") || "file"}: ${i.message}`);
  throw new SoftcError("SOFTC_LAB_BAD", `Cannot read ${from}: ${issues.join("; ")}`);
}

/** The schema as JSON Schema, as published in `lab.schema.json`. */
export function labJsonSchema(): object {
  return { title: "A softc lab", ...z.toJSONSchema(LAB, { io: "input" }) };
}
