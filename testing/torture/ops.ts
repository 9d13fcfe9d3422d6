/**
 * What a torture round does: operations, how often, and which refusals each may get. Any other error is a
 * failure.
 *
 * @module
 */
import { type Code, isSoftcError } from "../../core/error.ts";
import {
  epochCall,
  epochDrain,
  epochOpen,
  ifCloneCreate,
  ifCloneDestroy,
  ifDetach,
  type Ifnet,
  ifnetByHandle,
  ifnetByIndex,
  type IfOptions,
  ifOutput,
  ifRele,
  ifTryRef,
  ifVmove,
  inetAddress,
  mAlloc,
  ping,
  pktgen,
  udpOpen,
  vnetCreate,
  vnetDestroy,
} from "../../mod.ts";
import { taggedFrame } from "./frame.ts";
import type { Random } from "./random.ts";
import { pause, type World } from "./world.ts";

/** One kind of operation. */
export interface Op {
  readonly name: string;
  /** How often, next to the others. */
  readonly weight: number;
  /** Refusals that it may get, by code. */
  readonly refusals: readonly Code[];
  run(w: World, r: Random): Promise<void>;
}

/** Whatever is done to an interface: it may be gone, going, or moving. */
const GONE: readonly Code[] = ["SOFTC_IF_GONE", "SOFTC_IF_STATE"];
/** What is made comes late: its vnet, module or name is taken or going. */
const TAKEN: readonly Code[] = [
  "SOFTC_IF_EXISTS",
  "SOFTC_IF_FULL",
  "SOFTC_ARENA_FULL",
  "SOFTC_VNET_STATE",
  "SOFTC_DRIVER_UNKNOWN",
  "SOFTC_MODULE_STATE",
];
/** Does it to any interface, if there is one. */
const onIfnet = (fn: (i: Ifnet, w: World, r: Random) => Promise<void>) => async (w: World, r: Random) => {
  const i = w.ifnet(r);
  if (i !== undefined) await fn(i, w, r);
};

/** Every operation. */
export const OPS: readonly Op[] = [
  {
    name: "create",
    weight: 14,
    // A fault on another CPU, before it was published; the fault itself is judged where it is told.
    refusals: [...TAKEN, "SOFTC_DRIVER_THREW"],
    async run(w, r) {
      const s = r.pick(w.subjects.filter((x) => w.moduleOf(x) !== undefined));
      const c = r.pick(s?.cloners ?? []);
      if (c === undefined || !w.roomy) return;
      const options = c.options?.(() => r.next());
      const made = await ifCloneCreate(w.vnet(r), c.cloner, {
        ...(options === undefined ? {} : { options }),
        ...(r.chance(0.2) ? { name: `x${r.below(4)}` } : {}),
        ...(r.chance(0.5) ? { cpu: r.below(w.kernel.cpus) } : {}),
      });
      for (const i of made) if (r.chance(0.8)) await i.up().catch(refused(w, GONE));
    },
  },
  {
    name: "destroy",
    weight: 6,
    refusals: ["SOFTC_IF_GONE", "SOFTC_DEV_BUSY", "SOFTC_IF_NOT_ATTACHED"],
    run: onIfnet(async (i, w) => {
      await ifCloneDestroy(i);
      gone(w, i, "destroy");
    }),
  },
  {
    name: "detach",
    weight: 5,
    refusals: ["SOFTC_IF_GONE", "SOFTC_IF_NOT_ATTACHED"],
    run: onIfnet(async (i, w, r) => {
      const first = ifDetach(i);
      if (r.chance(0.3) && ifDetach(i) !== first) {
        // What was refused is refused again, each time with an error of its own.
        if (await first.then(() => true, () => false)) w.wrong(`the second detach of ${i} is another one`);
      }
      await first;
      gone(w, i, "detach");
    }),
  },
  {
    name: "vmove",
    weight: 14,
    refusals: [
      ...GONE,
      "SOFTC_VNET_SAME",
      "SOFTC_IF_EXISTS",
      "SOFTC_VNET_VETO",
      "SOFTC_VNET_OVERDUE",
      "SOFTC_VNET_STATE",
      "SOFTC_VNET_LOST",
      "SOFTC_VNET_REASSIGN",
    ],
    run: onIfnet(async (i, w, r) => {
      const to = w.vnet(r);
      try {
        const { ifnet } = await ifVmove(i, to, {
          flushMs: r.below(4),
          ...(r.chance(0.5) ? { up: true } : {}),
          ...(r.chance(0.1) ? { name: `x${r.below(4)}` } : {}),
        });
        if (ifnet.handle === i.handle) w.wrong(`${i} moved and kept its handle`);
      } catch (e) {
        if (isSoftcError(e, "SOFTC_VNET_OVERDUE")) w.missed("moves held up by an async section");
        if (isSoftcError(e, "SOFTC_VNET_REASSIGN")) w.missed("moves whose reassign failed");
        if (isSoftcError(e, "SOFTC_VNET_LOST")) {
          w.missed(e.state === "detached" ? "moves that went forward into detach" : "claims lost");
        }
        throw e;
      }
    }),
  },
  {
    name: "vnet create",
    weight: 3,
    refusals: ["SOFTC_VNET_EXISTS", "SOFTC_VNET_STATE", "SOFTC_VNET_FULL"],
    async run(w, r) {
      if (w.kernel.vnets.length < 8) await vnetCreate(w.vnet(r), `v${r.below(8)}`);
    },
  },
  {
    name: "vnet destroy",
    weight: 2,
    refusals: ["SOFTC_VNET_ORDER", "SOFTC_VNET_STATE"],
    async run(w, r) {
      const v = w.vnet(r);
      await vnetDestroy(v);
      if (v.state !== "gone") w.wrong(`${v} is destroyed and ${v.state}`);
    },
  },
  {
    name: "plug",
    weight: 6,
    refusals: ["SOFTC_DEV_EXISTS", "SOFTC_DEV_GONE", "SOFTC_VNET_STATE"],
    async run(w, r) {
      const s = r.pick(w.subjects.filter((x) => x.device !== undefined));
      if (s === undefined || !w.roomy) return;
      const d = await s.device!(r.below(4), w.kernel.ifnets);
      if (d === undefined) return;
      const device = await w.kernel.devices.plug(d.id, { vnet: w.vnet(r), ...d.options });
      for (const i of device.ifnets) await i.up().catch(refused(w, GONE));
    },
  },
  {
    name: "unplug",
    weight: 4,
    refusals: [],
    async run(w, r) {
      const d = r.pick(w.kernel.devices.list());
      if (d === undefined) return;
      await w.kernel.devices.unplug(d);
      for (const i of d.ifnets) gone(w, i, "unplug");
    },
  },
  {
    name: "device detach",
    weight: 1,
    refusals: ["SOFTC_IF_GONE", "SOFTC_DEV_BUSY"],
    async run(w, r) {
      const d = r.pick(w.kernel.devices.list());
      if (d === undefined) return;
      await w.kernel.devices.detach(d);
      if (r.chance(0.7)) await w.kernel.devices.attach(d);
    },
  },
  {
    name: "load",
    weight: 4,
    refusals: ["SOFTC_MODULE_EXISTS"],
    async run(w, r) {
      const s = r.pick(w.subjects.filter((x) => w.moduleOf(x) === undefined));
      if (s === undefined) return;
      w.loaded(s, await w.kernel.modules.load(w.spec(s), s.host === undefined ? {} : { host: s.host }));
    },
  },
  {
    name: "unload",
    weight: 2,
    refusals: ["SOFTC_MODULE_BUSY", "SOFTC_MODULE_STATE", "SOFTC_MODULE_UNKNOWN"],
    async run(w, r) {
      const m = r.pick(w.kernel.modules.list());
      if (m === undefined) return;
      await w.kernel.modules.unload(m, { mode: r.pick(["refuse", "drain", "force"]) });
      if (m.instances.length > 0) w.wrong(`${m} is unloaded and ${m.instances[0]} is left`);
    },
  },
  { name: "up", weight: 10, refusals: GONE, run: onIfnet((i) => i.up()) },
  { name: "down", weight: 3, refusals: GONE, run: onIfnet((i) => i.down()) },
  {
    name: "rename",
    weight: 3,
    refusals: [...GONE, "SOFTC_IF_EXISTS"],
    run: onIfnet((i, _w, r) => i.set({ name: `x${r.below(6)}` })),
  },
  {
    name: "set",
    weight: 3,
    refusals: [...GONE, "SOFTC_IF_MTU"],
    run: onIfnet((i, w, r) =>
      i.set(
        r.pick<IfOptions>([
          { mtu: 72 + r.below(1800) },
          { promisc: true },
          { promisc: false },
          { allmulti: r.chance(0.5) },
          { dispatch: "flow" as const },
          { dispatch: r.below(w.kernel.cpus) },
          { dispatch: "direct" as const },
        ]),
      )
    ),
  },
  {
    name: "tap",
    weight: 4,
    refusals: GONE,
    run: onIfnet(async (i, w, r) => {
      const tap = i.tap({ onPacket: () => {}, snap: 64, drops: r.chance(0.3) });
      await w.hold(r.below(40), () => tap.close());
    }),
  },
  {
    name: "traffic",
    weight: 5,
    refusals: GONE,
    run: onIfnet(async (i, w, r) => {
      const stream = await pktgen({
        vnet: i.vnet,
        ifnet: i,
        frame: taggedFrame(i.vnet.id, r.chance(0.2) ? 1000 : 60),
        batch: r.pick([1, 8, 32, 256]),
        // CPU 0 does everything else too.
        cpus: Array.from({ length: w.kernel.cpus }, (_, k) => k).filter((k) => r.chance(k === 0 ? 0.3 : 0.9)),
      });
      await w.hold(20 + r.below(400), async () => void await stream.stop());
    }),
  },
  {
    name: "send",
    weight: 8,
    refusals: [],
    run: onIfnet((i, w, r) => {
      i.vnet.section((s) => {
        const p = ifnetByHandle(s, i.handle);
        if (p === undefined) return w.missed("look-ups that found it gone");
        const b = mAlloc(s, 1 + r.below(64), 60);
        for (let k = 0; k < b.length; k++) b.copyFrom(k, taggedFrame(i.vnet.id, 60));
        ifOutput(s, p, b);
      });
      return Promise.resolve();
    }),
  },
  {
    name: "reference",
    weight: 4,
    refusals: [],
    run: onIfnet(async (i, w, r) => {
      const ref = w.kernel.section((s) => {
        const p = ifnetByIndex(s, i.index);
        if (p === undefined) return undefined;
        const taken = ifTryRef(s, p, "torture");
        if (taken === undefined) w.missed("references refused");
        return taken;
      });
      if (ref !== undefined) await w.hold(r.below(50), () => ifRele(ref));
      if (i.state === "dead") w.missed("slots kept by a reference");
    }),
  },
  {
    name: "async section",
    weight: 2,
    refusals: ["SOFTC_EPOCH_FULL"],
    async run(w, r) {
      const s = epochOpen(w.kernel, "torture");
      await w.hold(r.chance(0.03) ? 1100 : r.below(20), () => s.close());
    },
  },
  {
    name: "epoch callback",
    weight: 2,
    refusals: [],
    async run(w) {
      let ran = false;
      epochCall(w.kernel, () => ran = true);
      await epochDrain(w.kernel);
      if (!ran) w.wrong("a drain ended before a callback that was queued before it");
    },
  },
  {
    name: "resolve",
    weight: 6,
    refusals: [],
    run(w, r) {
      const h = w.handle(r);
      if (h === undefined) return Promise.resolve();
      const answer = w.kernel.resolve(h);
      const found = w.kernel.section((s) => ifnetByHandle(s, h) !== undefined);
      if (found !== (answer === "live")) w.wrong(`handle ${h} is ${answer}, and a look-up says ${found}`);
      if (!found) w.missed("look-ups that found it gone");
      return Promise.resolve();
    },
  },
  {
    name: "show",
    weight: 2,
    refusals: [],
    run(w) {
      for (const i of w.kernel.ifnets) JSON.stringify([i, i.why()]);
      JSON.stringify([w.kernel.vnets, w.kernel.modules.list(), w.kernel.devices.list(), w.kernel.blame()]);
      return Promise.resolve();
    },
  },
  {
    name: "exhaust mbufs",
    weight: 1,
    refusals: [],
    async run(w, r) {
      const held = w.kernel.section((s) => {
        const all = [];
        for (let b = mAlloc(s, 256, 60); b.length > 0; b = mAlloc(s, 256, 60)) all.push(b);
        return all;
      });
      await w.hold(r.below(10), () => {
        for (const b of held) b.freeAll();
      });
    },
  },
  {
    name: "inet",
    weight: 3,
    // What is wedged outlives its vnet.
    refusals: [
      ...GONE,
      "SOFTC_VNET_ARGUMENT",
      "SOFTC_INET_EXISTS",
      "SOFTC_INET_UNREACHABLE",
      "SOFTC_INET_ADDRESS",
    ],
    run: onIfnet(async (i, _w, r) => {
      const { vnet } = i;
      const net = r.chance(0.5) ? `10.0.${r.below(3)}.` : `fd00:${r.below(3)}::`;
      const address = await inetAddress(i, `${net}${1 + r.below(3)}/${net[0] === "f" ? 64 : 24}`, {
        dad: false,
      });
      await ping(vnet, `${net}${1 + r.below(3)}`, { count: 2, timeout: 20 });
      if (r.chance(0.5)) address.remove();
    }),
  },
  {
    name: "udp",
    weight: 2,
    refusals: ["SOFTC_INET_IN_USE", "SOFTC_INET_CLOSED", "SOFTC_VNET_STATE"],
    async run(w, r) {
      const socket = udpOpen(w.vnet(r), { port: 7000 + r.below(4) });
      await w.hold(r.below(50), () => void socket.close());
    },
  },
  {
    name: "ledger",
    weight: 1,
    refusals: [],
    async run(w) {
      const { unaccounted } = await w.kernel.ledger();
      if (unaccounted !== 0) w.wrong(`${unaccounted} packets unaccounted for`);
    },
  },
  { name: "wait", weight: 6, refusals: [], run: (_w, r) => pause(r.below(10)) },
];

/** Takes a refusal of a second step, and nothing else. */
function refused(w: World, codes: readonly Code[]): (e: unknown) => void {
  return (e) => {
    if (!w.expects(e, codes)) throw e;
  };
}

/** After a detach no hook runs: only a reference may keep the slot. */
function gone(w: World, i: Ifnet, verb: string): void {
  if (i.state !== "freed" && i.state !== "dead") w.wrong(`after ${verb} ${i} is ${i.state}`);
}
