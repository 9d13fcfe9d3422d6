/** What "why is it not free yet?" costs: nothing while nobody asks, and what while somebody does. @module */
import { cas, load } from "../../core/doors/arena.ts";
import { IFNET } from "../../core/memory/arena.ts";
import { dropRef } from "../../core/net/ref.ts";
import { ownKernel } from "../../kernel/api.ts";
import { boot, epochOpen, ifCloneCreate, ifnetByHandle, ifRele, ifTryRef, type Kernel } from "../../mod.ts";
import { type Case, nsPerOp, type Sampler } from "../harness.ts";
import { checked, nsPerPacket, sender, type Suite } from "../suite.ts";

const GROUP = "blame";
const BARE = "a reference's count alone, taken and released: no tag";
/** Batches between two questions: some 2,500 a second at full rate, far more often than anybody looks. */
const BATCHES = 1000;

/** A kernel with an interface that takes all, and what is done with it. */
function withNull(
  make: (k: Kernel, i: Awaited<ReturnType<typeof ifCloneCreate>>[0]) => (ms: number) => number,
) {
  return async (): Promise<Sampler> => {
    const kernel = await boot();
    await kernel.modules.load("softc:null");
    const [i] = await ifCloneCreate(kernel.vnet0, "null");
    await i.up();
    return { sample: make(kernel, i), teardown: () => checked(kernel) };
  };
}

const cases: Case[] = [
  {
    group: GROUP,
    name: "64 B batch 32, per packet, nobody asks",
    unit: "ns",
    setup: withNull((k, i) => {
      const send = sender(k, [i]);
      return (ms) => nsPerPacket(ms, send, BATCHES);
    }),
  },
  {
    group: GROUP,
    name: "64 B batch 32, per packet, asked every 1,000 batches",
    unit: "ns",
    against: "64 B batch 32, per packet, nobody asks",
    setup: withNull((k, i) => {
      const send = sender(k, [i]);
      let held = 0;
      return (ms) =>
        nsPerOp(ms, 32 * BATCHES, () => {
          for (let n = 0; n < BATCHES; n++) send();
          held += k.blame().length + i.why().length;
        });
    }),
  },
  {
    group: GROUP,
    name: BARE,
    unit: "ns",
    setup: withNull((k, i) => {
      const { a } = ownKernel(k).arena;
      const word = ownKernel(k).arena.ifnetAt(i.index) + IFNET.refs;
      return (ms) =>
        nsPerOp(ms, 100, () => {
          for (let n = 0; n < 100; n++) {
            const refs = load(a, word);
            cas(a, word, refs, refs + 1);
            dropRef(a, word);
          }
        });
    }),
  },
  {
    group: GROUP,
    name: "a reference with its tag, taken and released",
    unit: "ns",
    against: BARE,
    setup: withNull((k, i) => (ms) =>
      nsPerOp(ms, 100, () =>
        k.vnet0.section((s) => {
          const p = ifnetByHandle(s, i.handle)!;
          for (let n = 0; n < 100; n++) ifRele(ifTryRef(s, p, "bench")!);
        }))
    ),
  },
  {
    group: GROUP,
    name: "an async section with its opener, opened and closed",
    unit: "ns",
    setup: withNull((k) => (ms) => nsPerOp(ms, 1, () => epochOpen(k, "bench").close())),
  },
];

/** Blame. */
export const suite: Suite = { cases };
