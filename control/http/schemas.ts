/** Schemas of the API: they validate what comes in and describe what goes out. @module */
import { z } from "zod";
import { CODES, DROP_TEXT, STATE } from "../../mod.ts";

const NAME = z.string().regex(
  /^[a-zA-Z][a-zA-Z0-9_.-]{0,14}$/,
  "1 to 15 letters, digits or . _ -, a letter first",
);
/** Name of an interface. */
export const IF_NAME = NAME.meta({ description: "Name of an interface" });
/** Name of a vnet. */
export const VNET_NAME = z.string().min(1).max(64).regex(/^[\w.-]+$/, "letters, digits or . _ -");
/** An interface by any of its names. */
export const IF_ID = z.string().min(1).max(96).meta({
  description: "NAME when it is unique, VNET:NAME, or the handle if#INDEX.gGENCNT",
});
const CPU = z.int().min(0).max(15);
const IPV4 = z.ipv4();
const MAC = z.string().regex(/^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/, "six octets, as 02:00:00:00:00:01");

/** What is returned by health. */
export const HEALTH = z.object({ status: z.literal("ok"), cpus: z.int(), uptimeSeconds: z.number() });

/** A problem document. */
export const PROBLEM = z.object({
  type: z.string(),
  title: z.string(),
  status: z.int(),
  detail: z.string(),
  code: z.string(),
  errno: z.string().optional(),
  state: z.string().optional(),
  wanted: z.string().optional(),
  rule: z.string().optional(),
  fix: z.string(),
  issues: z.array(z.object({ at: z.string(), message: z.string() })).optional(),
}).meta({ id: "Problem" });

const counter = z.number().min(0);
const COUNTERS = z.object({
  ipackets: counter,
  ibytes: counter,
  opackets: counter,
  obytes: counter,
  iqdrops: counter,
  oqdrops: counter,
  ierrors: counter,
  oerrors: counter,
});
/** An interface. */
export const IFNET = z.looseObject({
  name: z.string(),
  handle: z.string(),
  index: z.int(),
  vnet: z.string(),
  home: z.string(),
  driver: z.string(),
  type: z.string(),
  state: z.enum(Object.keys(STATE) as [string, ...string[]]),
  flags: z.array(z.string()),
  mtu: z.int(),
  mac: z.string(),
  link: z.string(),
  groups: z.array(z.string()),
  capabilities: z.array(z.string()),
  cpu: z.int(),
  queues: z.int(),
  queued: counter,
  counters: COUNTERS,
}).meta({ id: "Ifnet" });

/** Who holds something. */
export const BLAME = z.object({
  what: z.string(),
  holder: z.string(),
  age: z.number().optional(),
  fix: z.string(),
}).meta({ id: "Blame" });

/** One interface with all there is to say. */
export const IFNET_FULL = IFNET.extend({
  driverCounters: z.record(z.string(), z.number()),
  late: z.array(z.int()),
  why: z.array(BLAME),
}).meta({ id: "IfnetFull" });

/** A vnet. */
export const VNET = z.looseObject({
  id: z.int(),
  name: z.string(),
  parent: z.string().optional(),
  state: z.string(),
  ifnets: z.array(z.string()),
}).meta({ id: "Vnet" });

/** A module. */
export const MODULE = z.looseObject({
  name: z.string(),
  url: z.string(),
  state: z.string(),
  drivers: z.array(z.string()),
  cloners: z.array(z.string()),
  instances: z.array(z.string()),
  depends: z.array(z.string()),
}).meta({ id: "Module" });

const sums = z.record(z.string(), counter);
/** The books. */
export const LEDGER = z.object({
  born: sums,
  ended: sums,
  dropped: z.partialRecord(z.enum(Object.keys(DROP_TEXT) as [string, ...string[]]), counter),
  sent: counter,
  delivered: counter,
  live: z.array(z.object({ owner: z.string(), lives: counter })),
  unaccounted: z.number(),
  perCpu: z.array(counter),
  nobufs: counter,
}).meta({ id: "Ledger" });

/** Grace periods and who they wait for. */
export const EPOCH = z.object({
  gracePeriods: z.int(),
  callbacks: z.int().meta({ description: "Epoch callbacks that have not run" }),
  blame: z.array(BLAME),
}).meta({ id: "Epoch" });

/** Making interfaces. */
export const CREATE = z.strictObject({
  vnet: VNET_NAME,
  cloner: z.string().min(1).max(32),
  name: IF_NAME.optional(),
  cpu: CPU.optional(),
  up: z.boolean().default(false),
  options: z.record(z.string(), z.json()).optional(),
}).meta({ id: "IfCreate" });

/** Changing one. */
export const CHANGE = z.strictObject({
  mtu: z.int().min(72).max(1958).optional(),
  name: IF_NAME.optional(),
  promisc: z.boolean().optional(),
  allmulti: z.boolean().optional(),
  dispatch: z.union([z.enum(["direct", "flow"]), CPU]).optional(),
  xconnect: z.union([IF_ID, z.null()]).optional(),
}).refine((o) => Object.keys(o).length > 0, "name at least one thing to change").meta({ id: "IfChange" });

/** Moving one. */
export const VMOVE = z.strictObject({
  vnet: VNET_NAME,
  name: IF_NAME.optional(),
  up: z.boolean().optional(),
  flushMs: z.int().min(0).max(10_000).optional(),
}).meta({ id: "Vmove" });

/** What a move did. */
export const VMOVED = z.object({
  ifnet: IFNET,
  blackoutNs: z.number(),
  flushed: z.number(),
  dropped: z.number(),
}).meta({ id: "Vmoved" });

/** Making a vnet. */
export const VNET_CREATE = z.strictObject({
  name: VNET_NAME,
  parent: VNET_NAME.optional(),
  discard: z.boolean().default(false).meta({
    description: "Takes and throws away every valid packet (RFC 863)",
  }),
}).meta({ id: "VnetCreate" });

/** Loading a module. */
export const MODULE_LOAD = z.strictObject({
  module: z.string().min(1).max(1024).meta({ description: "softc:NAME, a URL, a path, or a package name" }),
  host: z.boolean().optional().meta({ description: "In a worker of its own, instead of on the CPUs" }),
}).meta({ id: "ModuleLoad" });

/** How a module is unloaded. */
export const UNLOAD = z.strictObject({ mode: z.enum(["refuse", "drain", "force"]).default("refuse") });

/** A stream of packets. */
export const TRAFFIC = z.strictObject({
  name: NAME,
  vnet: VNET_NAME,
  ifnet: IF_ID,
  bytes: z.int().min(60).max(1514).default(64),
  mac: MAC.optional(),
  from: IPV4.optional(),
  to: IPV4.optional(),
  cpus: z.array(CPU).min(1).max(16).optional(),
  batch: z.int().min(1).max(256).optional(),
  count: z.int().min(1).max(2 ** 31 - 1).optional(),
  rate: z.number().min(1).max(1e9).optional().meta({
    description: "Packets per second and CPU; as many as go unless told",
  }),
}).meta({ id: "Traffic" });

/** What a stream did, by CPU. */
export const TRAFFIC_DONE = z.array(z.looseObject({})).meta({ id: "TrafficDone" });

/** What to capture, and when it ends. */
export const CAPTURE_START = z.strictObject({
  ifnet: IF_ID,
  seconds: z.int().min(1).max(3600).default(10),
  count: z.int().min(1).max(1_000_000).default(1000),
  snap: z.int().min(14).max(1984).default(1984),
  bytes: z.int().min(4096).max(32 * 2 ** 20).default(8 * 2 ** 20).meta({ description: "Of the file" }),
}).meta({ id: "CaptureStart" });

/** A capture. */
export const CAPTURE = z.looseObject({
  id: z.string(),
  ifnet: z.string(),
  vnet: z.string(),
  startedAt: z.number().meta({ description: "Milliseconds since 1970" }),
  packets: counter,
  missed: counter.meta({ description: "Packets that found no room on their way into the file" }),
  bytes: counter,
  running: z.boolean(),
  ended: z.string().optional().meta({ description: "Why it ended" }),
}).meta({ id: "Capture" });

/** How a capture is fetched. */
export const FOLLOW = z.strictObject({
  follow: z.stringbool({ truthy: ["true"], falsy: ["false"] }).default(false).meta({
    description: "Goes on with what comes, until it ends",
  }),
});

/** A list by vnet. */
export const IN_VNET = z.strictObject({ vnet: VNET_NAME.optional() });

/** What an error code means. */
export const ERROR_CODE = z.enum(Object.keys(CODES) as [keyof typeof CODES, ...(keyof typeof CODES)[]]);
export const ERROR = z.object({
  code: z.string(),
  errno: z.string().optional(),
  rule: z.string().optional(),
  fix: z.string(),
}).meta({ id: "ErrorCode" });
