/**
 * The rules of the conformance test, by stable id. D08 (the ledger), D09 (faults), D10 to D12 (transmit), D22 to
 * D26 (after stop and destroy) and D28 (leaks) are also looked at in every other rule, and are named by their own
 * id when they are broken there.
 *
 * @module
 */
import {
  ifCloneDestroy,
  ifDetach,
  type Ifnet,
  ifVmove,
  isSoftcError,
  type PluggedDevice,
  type Vnet,
  vnetCreate,
  vnetDestroy,
} from "../mod.ts";
import { exploreDriver } from "./explore_driver.ts";
import { formatReport } from "./report.ts";
import { claim, failure, type Lab, turn } from "./conformance_lab.ts";

/** A rule and how it is tried. */
export interface ConformanceRule {
  /** Stable: `D01`. */
  readonly id: string;
  /** What holds, one sentence. */
  readonly text: string;
  /** CPUs of its kernel; 1 unless told. */
  readonly cpus?: number;
  /** @ignore */
  run(lab: Lab): Promise<void>;
}

const isUp = (i: Ifnet): boolean => i.toJSON().flags.includes("UP");
const used = (lab: Lab): number => lab.kernel.inspect().arenaUsed;

/** Sends until `n` packets went somewhere. */
async function some(lab: Lab, i: Ifnet, n = 40): Promise<void> {
  for (let sent = 0; sent < n; sent += 10) {
    lab.send(i, 10);
    await turn();
  }
}

/** Sends at full rate on every CPU while `body` runs; at least 200 packets go first. */
async function underLoad(lab: Lab, i: Ifnet, body: () => Promise<void>): Promise<void> {
  const load = await lab.traffic(i);
  try {
    await lab.until("packets go out under load", () => lab.moved(i) > 200);
    await body();
  } finally {
    await load.stop();
  }
}

/** What a driver must be in to have its hooks counted. */
const hooksOf = (lab: Lab, name: string): string[] =>
  lab.journal.notes.filter((n) => n.of === name && !n.what.includes(" ") && !n.what.startsWith("dev.")).map((
    n,
  ) => n.what);

/** Every rule. */
export const CONFORMANCE_RULES: readonly ConformanceRule[] = [
  {
    id: "D01",
    text: "it loads, on every CPU, and unloads",
    cpus: 2,
    async run(lab) {
      claim(lab.module.state === "loaded", `the module is ${lab.module.state}`);
      await lab.unload();
      claim(lab.kernel.modules.list().length === 0, "it is still loaded");
    },
  },
  {
    id: "D02",
    text: "loaded again it is as new",
    async run(lab) {
      for (let n = 0; n < 3; n++) {
        const [i] = await lab.create();
        lab.send(i);
        await lab.unload();
        await lab.load();
      }
      await lab.create();
    },
  },
  {
    id: "D03",
    text: "attach declares the interface: attached, in its vnet, not UP",
    async run(lab) {
      const made = await lab.create({ up: false });
      for (const i of made) {
        claim(i.state === "attached", `${i.name} is ${i.state}`);
        claim(!isUp(i), `${i.name} is UP before anybody said so`);
        claim(lab.kernel.vnet0.ifnets.some((x) => x.name === i.name), `${i.name} is not in its vnet`);
      }
    },
  },
  {
    id: "D04",
    text: "whichever call of dev fails in attach or open, nothing is left, and the next create succeeds",
    async run(lab) {
      const [first] = await lab.create({ up: false });
      const { calls } = lab.journal;
      await ifCloneDestroy(first);
      // What core keeps for good is there now.
      const before = used(lab);
      for (let k = 1; k <= calls; k++) {
        lab.journal.calls = 0;
        lab.journal.failAt = k;
        const made = await lab.create({ up: false }).catch(() => undefined);
        lab.journal.failAt = 0;
        // A driver may do without what failed.
        if (made !== undefined) await ifCloneDestroy(made[0]);
        claim(lab.kernel.ifnets.length === 0, `an interface is left after call ${k} failed`);
        claim(used(lab) === before, `${used(lab) - before} bytes of arena are left after call ${k} failed`);
      }
      const [i] = await lab.create();
      lab.send(i);
    },
  },
  {
    id: "D05",
    text: "two creates at once make two interfaces that do not disturb each other",
    async run(lab) {
      const [[a], [b]] = await Promise.all([lab.create(), lab.create()]);
      claim(a.name !== b.name, `both are ${a.name}`);
      await some(lab, a);
      await ifCloneDestroy(a);
      claim(b.state === "attached", `${b.name} is ${b.state} after ${a.name} was destroyed`);
      await some(lab, b);
    },
  },
  {
    id: "D06",
    text: "batches of 1, 2, 31 and 256 packets are taken",
    async run(lab) {
      const [i] = await lab.create();
      for (const n of [1, 2, 31, 256]) {
        lab.send(i, n);
        await turn();
      }
      await lab.closed();
    },
  },
  {
    id: "D07",
    text: "packets of every length up to the MTU are taken",
    async run(lab) {
      const [i] = await lab.create();
      const { mtu } = i.toJSON();
      for (const len of [14, 15, 60, 61, 64, 65, 127, 128, 512, mtu, mtu + 14]) {
        lab.send(i, 3, len);
        await turn();
      }
      await lab.closed();
    },
  },
  {
    id: "D08",
    text: "every packet ends exactly once: the ledger is closed, under load on two CPUs",
    cpus: 2,
    async run(lab) {
      const [i] = await lab.create();
      await underLoad(lab, i, async () => {
        for (let n = 0; n < 3; n++) await lab.closed();
      });
      await lab.closed();
    },
  },
  {
    id: "D09",
    text: "no hook throws",
    async run(lab) {
      const [i] = await lab.create();
      await some(lab, i, 100);
      await i.down();
      await i.up();
      await some(lab, i, 100);
    },
  },
  { id: "D10", text: "transmit answers how many packets it took from the front", run: sendABit },
  { id: "D11", text: "transmit is synchronous", run: sendABit },
  { id: "D12", text: "the batch is not used after transmit has returned", run: sendABit },
  {
    id: "D13",
    text: "more than its queue holds is dropped and counted, and the interface goes on",
    async run(lab) {
      const [i] = await lab.create();
      for (let n = 0; n < 40; n++) lab.send(i, 256);
      await turn();
      await lab.closed();
      claim(i.state === "attached", `${i.name} is ${i.state}`);
    },
  },
  {
    id: "D14",
    text: "down: nothing is accepted any more; up again: it is, and goes out",
    async run(lab) {
      const sends = (): number => lab.journal.whats().filter((w) => w === "transmit").length;
      const [i] = await lab.create();
      await some(lab, i, 20);
      await i.down();
      claim(lab.send(i, 5) === 0, "packets were accepted while it was down");
      // What was accepted before may still go out: admission is what UP decides.
      await i.up();
      claim(isUp(i), "it is not UP");
      const before = sends();
      lab.send(i, 5);
      await lab.until("transmit after up", () => sends() > before);
    },
  },
  {
    id: "D15",
    text: "a change that set refuses leaves everything as it was",
    async run(lab) {
      const [i] = await lab.create();
      const { mtu } = i.toJSON();
      for (const to of [72, 600, 1958, mtu]) {
        const before = i.toJSON().mtu;
        const e = await failure(i.set({ mtu: to }));
        const now = i.toJSON().mtu;
        claim(
          now === (e === undefined ? to : before),
          `the MTU is ${now} after set(${to}) ${e ?? "succeeded"}`,
        );
      }
      await i.set({ promisc: true }).catch(() => {});
      await i.set({ promisc: false }).catch(() => {});
      await some(lab, i, 20);
    },
  },
  {
    id: "D16",
    text: "a taken packet is ended when the interface is gone",
    async run(lab) {
      const [i] = await lab.create();
      const { index } = i;
      await some(lab, i, 50);
      await ifDetach(i);
      const held = (await lab.kernel.ledger()).live.filter((l) => l.owner === `the device of if#${index}`);
      claim(held.length === 0, `${held[0]?.lives} packets are still ${held[0]?.owner}'s`);
    },
  },
  {
    id: "D17",
    text: "it detaches idle, and its slot is free",
    async run(lab) {
      const made = await lab.create();
      await ifCloneDestroy(made[0]);
      for (const i of made) claim(i.state === "freed", `${i.name} is ${i.state}`);
    },
  },
  {
    id: "D18",
    text: "a second detach is the first one, and a second destroy gets ENXIO",
    async run(lab) {
      const [i] = await lab.create();
      const first = ifDetach(i);
      claim(ifDetach(i) === first, "the second detach is another one");
      await first;
      const [j] = await lab.create();
      const both = await Promise.all([failure(ifCloneDestroy(j)), failure(ifCloneDestroy(j))]);
      const lost = both.filter((e) => e !== undefined);
      claim(
        lost.length === 1 && isSoftcError(lost[0], "SOFTC_IF_GONE"),
        `destroyed twice: ${lost.join(", ")}`,
      );
    },
  },
  {
    id: "D19",
    text: "it detaches under load on two CPUs, ten times over",
    cpus: 2,
    async run(lab) {
      for (let n = 0; n < 10; n++) {
        const [i] = await lab.create();
        await underLoad(lab, i, async () => {
          await ifCloneDestroy(i);
          await lab.closed();
        });
      }
    },
  },
  {
    id: "D20",
    text: "it detaches at any moment after create: with nothing, little or much under way",
    async run(lab) {
      for (let k = 0; k < 12; k++) {
        const [i] = await lab.create();
        if (k % 3 > 0) lab.send(i, k % 3 === 1 ? 1 : 200);
        for (let t = 0; t < k >> 2; t++) await turn();
        await ifCloneDestroy(i);
        await lab.closed();
      }
    },
  },
  {
    id: "D21",
    text: "hooks come in order: attach, open, then set and transmit, stop once, close, destroy once and last",
    async run(lab) {
      const [i] = await lab.create();
      await some(lab, i, 20);
      await ifCloneDestroy(i);
      const hooks = hooksOf(lab, i.name);
      claim(hooks[0] === "attach", `first comes ${hooks[0]}`);
      for (const once of ["attach", "stop", "destroy"]) {
        const n = hooks.filter((h) => h === once).length;
        claim(n <= 1, `${once} ran ${n} times`);
      }
      const stop = hooks.indexOf("stop");
      claim(stop < 0 || !hooks.slice(stop).includes("transmit"), "transmit ran after stop");
    },
  },
  { id: "D22", text: "no hook runs after destroy", run: endABit },
  {
    id: "D23",
    text: "stop and close settle in time",
    async run(lab) {
      const [i] = await lab.create();
      await some(lab, i, 20);
      await ifDetach(i);
    },
  },
  { id: "D24", text: "destroy uses nothing of dev", run: endABit },
  { id: "D25", text: "nothing is received after stop", run: endABit },
  { id: "D26", text: "nothing is armed after stop", run: endABit },
  {
    id: "D27",
    text: "a throw in set, reassign, stop, close or destroy does not keep it from going",
    async run(lab) {
      lab.expectFaults = true;
      const red = await vnetCreate(lab.kernel.vnet0, "red");
      for (const hook of ["set", "reassign", "stop", "close", "destroy"]) {
        const [i] = await lab.create({ up: false });
        lab.journal.failHooks.add(hook);
        await i.up().catch(() => {});
        await ifVmove(i, red).catch(() => {});
        const e = await failure(ifDetach(i));
        lab.journal.failHooks.clear();
        claim(
          e === undefined && i.state === "freed",
          `after a throw in ${hook} it is ${i.state}: ${e?.message}`,
        );
        await lab.until("nothing is left", () => lab.kernel.ifnets.every((x) => x.state === "attached"));
        for (const rest of [...lab.kernel.ifnets]) await ifDetach(rest);
      }
    },
  },
  {
    id: "D28",
    text: "twenty lives leave nothing behind: arena, packets, timers",
    async run(lab) {
      const once = async (): Promise<void> => {
        const [i] = await lab.create();
        lab.send(i, 20);
        await turn();
        await ifCloneDestroy(i);
      };
      await once();
      const before = used(lab);
      const timers = lab.kernel.inspect().timers.length;
      for (let n = 0; n < 20; n++) await once();
      claim(used(lab) === before, `${used(lab) - before} bytes of arena more than after the first`);
      const now = lab.kernel.inspect().timers.length;
      claim(now <= timers, `${now - timers} timers more than after the first`);
      const { live } = await lab.kernel.ledger();
      const held = live.filter((l) => l.owner.startsWith("the device"));
      claim(held.length === 0, held.map((l) => `${l.lives} packets at ${l.owner}`).join("; "));
    },
  },
  {
    id: "D29",
    text: "it moves to another vnet and back, and works there",
    async run(lab) {
      const red = await vnetCreate(lab.kernel.vnet0, "red");
      const [i] = await lab.create();
      let at = i;
      for (const to of [red, lab.kernel.vnet0, red, lab.kernel.vnet0]) {
        const e = await failure(ifVmove(at, to).then((r) => void (at = r.ifnet)));
        if (isSoftcError(e, "SOFTC_VNET_VETO")) return; // it may say no
        claim(e === undefined, `the move to ${to.name} failed: ${e?.message}`);
        if (!isUp(at)) await at.up();
        await some(lab, at, 20);
      }
    },
  },
  {
    id: "D30",
    text: "it moves to and fro under load on two CPUs, and no packet is lost uncounted",
    cpus: 2,
    async run(lab) {
      const red = await vnetCreate(lab.kernel.vnet0, "red");
      const [i] = await lab.create();
      await underLoad(lab, i, async () => {
        let at = i;
        for (const to of [red, lab.kernel.vnet0, red, lab.kernel.vnet0]) {
          const e = await failure(ifVmove(at, to, { up: true }).then((r) => void (at = r.ifnet)));
          if (isSoftcError(e, "SOFTC_VNET_VETO")) return;
          claim(e === undefined, `the move to ${to.name} failed: ${e?.message}`);
          await lab.closed();
        }
      });
    },
  },
  {
    id: "D31",
    text: "its vnet can be destroyed under it",
    async run(lab) {
      const red = await vnetCreate(lab.kernel.vnet0, "red");
      const [i] = await lab.create({ vnet: red });
      await some(lab, i, 20);
      await vnetDestroy(red);
      claim(i.state === "freed", `${i.name} is ${i.state}`);
    },
  },
  {
    id: "D32",
    text: "its module cannot be unloaded while it is in use, unless told to drain",
    async run(lab) {
      const [i] = await lab.create();
      const e = await failure(lab.kernel.modules.unload(lab.module));
      claim(isSoftcError(e, "SOFTC_MODULE_BUSY"), `unload answered ${e?.message ?? "nothing"}`);
      claim(i.state === "attached", `${i.name} is ${i.state}`);
    },
  },
  {
    id: "D33",
    text: "its module unloads under load on two CPUs",
    cpus: 2,
    async run(lab) {
      for (let n = 0; n < 3; n++) {
        const [i] = await lab.create();
        await underLoad(lab, i, async () => {
          await lab.unload();
          claim(i.state === "freed", `${i.name} is ${i.state}`);
          await lab.closed();
        });
        await lab.load();
      }
    },
  },
  {
    id: "D34",
    text: "events come in order: arrival first, departure last, then freed",
    async run(lab) {
      const [i] = await lab.create();
      await i.down();
      await i.up();
      await ifCloneDestroy(i);
      await lab.until("freed", () => lab.events.some((e) => e.type === "freed" && e.name === i.name));
      const types = lab.events.filter((e) => e.name === i.name).map((e) => e.type);
      claim(types[0] === "arrival", `first comes ${types[0]}`);
      claim(
        types.at(-2) === "departure" && types.at(-1) === "freed",
        `last come ${types.slice(-2).join(", ")}`,
      );
    },
  },
  {
    id: "D35",
    text: "pulled out at any moment it goes: at each call of attach, at rest, and while it goes up, sends, " +
      "changes, moves or detaches",
    async run(lab) {
      const red = await vnetCreate(lab.kernel.vnet0, "red");
      const gone = async (d: PluggedDevice, when: string): Promise<void> => {
        const e = await failure(lab.kernel.devices.unplug(d));
        claim(e === undefined, `pulled out ${when}: ${e?.message}`);
        claim(d.state === "gone", `pulled out ${when} it is ${d.state}`);
        const [left] = lab.kernel.ifnets;
        claim(left === undefined, `pulled out ${when}, ${left?.name} is ${left?.state}`);
        await lab.closed();
      };
      const { journal } = lab;
      const calls = journal.calls;
      await gone(await lab.plug(), "at rest");
      const before = used(lab);
      for (let k = 1, last = journal.calls - calls; k <= last; k++) {
        let pulled: Promise<void> | undefined;
        // A call that comes on the way out finds nothing to pull: it is gone already.
        const pull = (): void => {
          const [d] = lab.kernel.devices.list();
          if (d !== undefined) pulled = lab.kernel.devices.unplug(d);
        };
        const fn = (): void => queueMicrotask(pull);
        journal.moment = { at: journal.calls + k, fn };
        const d = await lab.plug();
        await pulled;
        await gone(d, `at call ${k} of attach`);
      }
      for (const [when, start] of Object.entries(MOMENTS)) {
        for (let turns = 0; turns < 3; turns++) {
          const d = await lab.plug();
          const started = start(lab, d.ifnets[0]!, red).catch(() => {});
          for (let n = 0; n < turns; n++) await turn();
          await gone(d, when);
          await started;
        }
      }
      claim(used(lab) === before, `${used(lab) - before} bytes of arena more than after the first`);
    },
  },
  {
    id: "D36",
    text: "the explorer finds nothing while it is detached or moved, exhaustive to 1 preemption",
    async run({ subject }) {
      const { url, cloner, options } = subject;
      for (const r of await exploreDriver(url, { cloner, options, bound: 1 })) {
        claim(r.violation === undefined, formatReport(r));
      }
    },
  },
];

/** What is under way when it is pulled out. */
const MOMENTS: Readonly<Record<string, (lab: Lab, i: Ifnet, red: Vnet) => Promise<unknown>>> = {
  "while it goes up": (_lab, i) => i.up(),
  "while it sends": async (lab, i) => {
    await i.up();
    for (let n = 0; n < 4; n++) lab.send(i, 100);
  },
  "while it changes": async (_lab, i) => {
    await i.up();
    await i.set({ mtu: 600, promisc: true });
  },
  "while it moves": async (lab, i, red) => {
    await i.up();
    lab.send(i, 20);
    await ifVmove(i, red);
  },
  "while it detaches": async (_lab, i) => {
    await i.up();
    await ifDetach(i);
  },
};

async function sendABit(lab: Lab): Promise<void> {
  const made = await lab.create();
  for (const i of made) await some(lab, i, 40);
}

async function endABit(lab: Lab): Promise<void> {
  for (let n = 0; n < 3; n++) {
    const made = await lab.create();
    for (const i of made) await some(lab, i, 20);
    await ifCloneDestroy(made[0]);
    await turn();
  }
}
