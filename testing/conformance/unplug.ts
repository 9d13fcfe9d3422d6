/**
 * The device is pulled out.
 *
 * @module
 */
import { ifDetach, type Ifnet, ifVmove, type PluggedDevice, type Vnet, vnetCreate } from "../../mod.ts";
import { claim, failure, type Lab, turn } from "./lab.ts";
import { type ConformanceRule, used } from "./rule.ts";

/** D35. */
export const UNPLUG: readonly ConformanceRule[] = [
  {
    id: "D35",
    text: "pulled out at any moment it goes: at each call of attach, at rest, and while it goes up, sends, " +
      "changes, moves or detaches",
    async run(lab) {
      const red = await vnetCreate(lab.kernel.vnet0, "red");
      const gone = async (d: PluggedDevice, when: string): Promise<void> => {
        const e = await failure(lab.pull(d));
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
