/**
 * How a driver treats packets, and what changes under them.
 *
 * @module
 */
import { ifDetach } from "../../mod.ts";
import { claim, failure, type Lab, turn } from "./lab.ts";
import { type ConformanceRule, isUp, some, underLoad } from "./rule.ts";

/** D06 to D16. */
export const PACKETS: readonly ConformanceRule[] = [
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
];

async function sendABit(lab: Lab): Promise<void> {
  const made = await lab.create();
  for (const i of made) await some(lab, i, 40);
}
