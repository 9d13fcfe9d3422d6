/** A packet parked behind a neighbour that answers in the same moment: it is taken once, by one of the two (neighbour.ts, 4, 5). */
import { add, load } from "../../../core/doors/arena.ts";
import { defineScenario, type ThreadContext } from "../../../testing/mod.ts";
import { NEIGH } from "../../../vnet/inet/layout.ts";
import {
  holdPush,
  holdTake,
  LEARN,
  ND,
  neighbourClaim,
  neighbourLearn,
  neighbourRead,
  NeighbourView,
} from "../../../vnet/inet/neighbour.ts";

const ADDRESS = [0x0a000001, 0, 0, 0] as const;
const PACKETS = [7, 8];

const table = (t: Pick<ThreadContext, "arena">): number => t.arena.plan.heap;
/** The word that leads from one parked packet to the next. */
const link = (t: Pick<ThreadContext, "arena">, id: number): number => table(t) + NEIGH.WORDS + 16 * id;
/** How often a packet was taken. */
const taken = (t: Pick<ThreadContext, "arena">, id: number): number => link(t, id) + 1;

function take(t: ThreadContext, e: number, who: string): void {
  const ids = new Int32Array(16);
  const n = holdTake(t.arena.a, e, ids, (id) => link(t, id));
  for (let i = 0; i < n; i++) add(t.arena.a, taken(t, ids[i]!), 1);
  if (n > 0) t.happened(`by the ${who}`);
}

const sender = (id: number) => ({
  name: `sender of ${id}`,
  run(t: ThreadContext) {
    const { a } = t.arena;
    const view = new NeighbourView();
    const e = neighbourRead(a, table(t), ...ADDRESS, view);
    holdPush(a, e, id, link(t, id));
    neighbourRead(a, table(t), ...ADDRESS, view);
    if (view.state > ND.incomplete) take(t, e, "sender");
  },
});

export default defineScenario({
  name: "holds",
  mustHappen: ["by the sender", "by the resolver"],
  setup: (arena) => void neighbourClaim(arena.a, arena.plan.heap, ...ADDRESS),
  threads: [...PACKETS.map(sender), {
    name: "resolver",
    run(t) {
      const e = neighbourLearn(t.arena.a, table(t), ...ADDRESS, 0x0200, 0x5e000001, LEARN.confirmed);
      if (e === 0) throw new Error("nothing was learnt");
      take(t, e, "resolver");
    },
  }],
  check({ arena }) {
    for (const id of PACKETS) {
      const times = load(arena.a, taken({ arena }, id));
      if (times !== 1) throw new Error(`packet ${id} was taken ${times} times`);
    }
  },
});
