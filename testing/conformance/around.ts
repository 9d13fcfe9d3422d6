/**
 * What is done around a driver: vnets, its module, events.
 *
 * @module
 */
import { ifVmove, isSoftcError, vnetCreate, vnetDestroy } from "../../mod.ts";
import { claim, failure } from "./lab.ts";
import { type ConformanceRule, isUp, some, underLoad } from "./rule.ts";

/** D29 to D34. */
export const AROUND: readonly ConformanceRule[] = [
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
      await lab.destroy(i);
      await lab.until("freed", () => lab.events.some((e) => e.type === "freed" && e.name === i.name));
      const types = lab.events.filter((e) => e.name === i.name).map((e) => e.type);
      claim(types[0] === "arrival", `first comes ${types[0]}`);
      claim(
        types.at(-2) === "departure" && types.at(-1) === "freed",
        `last come ${types.slice(-2).join(", ")}`,
      );
    },
  },
];
