/**
 * How a driver begins: it is loaded, its interfaces are made.
 *
 * @module
 */
import { claim } from "./lab.ts";
import { type ConformanceRule, isUp, some, used } from "./rule.ts";

/** D01 to D05. */
export const LIFE: readonly ConformanceRule[] = [
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
      await lab.destroy(first);
      // What core keeps for good is there now.
      const before = used(lab);
      for (let k = 1; k <= calls; k++) {
        lab.journal.calls = 0;
        lab.journal.failAt = k;
        const made = await lab.create({ up: false }).catch(() => undefined);
        lab.journal.failAt = 0;
        // A driver may do without what failed.
        if (made !== undefined) await lab.destroy(made[0]);
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
      await lab.destroy(a);
      claim(b.state === "attached", `${b.name} is ${b.state} after ${a.name} was destroyed`);
      await some(lab, b);
    },
  },
];
