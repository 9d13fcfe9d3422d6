/**
 * How a driver ends: what it is asked, in which order, and what it leaves.
 *
 * @module
 */
import { ifDetach, ifVmove, isSoftcError, vnetCreate } from "../../mod.ts";
import { claim, failure, type Lab, turn } from "./lab.ts";
import { type ConformanceRule, some, underLoad, used } from "./rule.ts";

/** D17 to D28. */
export const END: readonly ConformanceRule[] = [
  {
    id: "D17",
    text: "it detaches idle, and its slot is free",
    async run(lab) {
      const made = await lab.create();
      await lab.destroy(made[0]);
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
      const both = await Promise.all([failure(lab.destroy(j)), failure(lab.destroy(j))]);
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
          await lab.destroy(i);
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
        await lab.destroy(i);
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
      await lab.destroy(i);
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
        await lab.destroy(i);
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
];

/** The hooks of an instance, in their order. */
function hooksOf(lab: Lab, name: string): string[] {
  const ofIt = lab.journal.notes.filter((n) => n.of === name).map((n) => n.what);
  return ofIt.filter((what) => !what.includes(" ") && !what.startsWith("dev."));
}

async function endABit(lab: Lab): Promise<void> {
  for (let n = 0; n < 3; n++) {
    const made = await lab.create();
    for (const i of made) await some(lab, i, 20);
    await lab.destroy(made[0]);
    await turn();
  }
}
