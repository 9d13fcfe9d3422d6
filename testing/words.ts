/** What a word of the arena is, for people. @module */
import { type Arena, CPU, IFNET, MAILBOX, MBUF, VNET } from "../core/memory/arena.ts";

type Names = Readonly<Record<string, number>>;

/** A part of the arena that is a row of equal blocks. */
interface Part {
  readonly at: number;
  /** Words of a block; the part is one block when it is left out. */
  readonly words?: number;
  /** Words of a block that have a name. */
  readonly fields?: Names;
  name(block: number): string;
}

function parts({ plan }: Arena): readonly Part[] {
  const one = (at: number, name: string): Part => ({ at, name: () => name });
  return [
    one(0, "header"),
    { at: plan.cpu, words: CPU.WORDS, fields: CPU, name: (k) => `CPU ${k}` },
    one(plan.async, "async sections"),
    {
      at: plan.mailbox,
      words: MAILBOX.WORDS,
      fields: MAILBOX,
      name: (b) => `mail ${b % 2 === 0 ? "to" : "from"} CPU ${b >> 1}`,
    },
    one(plan.inputRings, "input rings"),
    { at: plan.vnet, words: VNET.WORDS, fields: VNET, name: (id) => `vnet ${id}` },
    { at: plan.ifnet, words: IFNET.WORDS, fields: IFNET, name: (index) => `if#${index}` },
    one(plan.ifCounters, "interface counters"),
    one(plan.cpuCounters, "CPU counters"),
    one(plan.depot, "depot"),
    one(plan.magazines, "magazines"),
    { at: plan.mbuf, words: MBUF.WORDS, fields: MBUF, name: (id) => `mbuf ${id}` },
    one(plan.heap, "heap"),
  ];
}

/** Where a word lies: `if#1 gencnt`, `mail to CPU 1 +65`, `heap +16`. */
export function describeWord(arena: Arena, word: number): string {
  const part = parts(arena).filter((p) => p.at <= word).reduce((p, q) => q.at >= p.at ? q : p);
  const { at, words = Infinity, fields = {} } = part;
  const block = words === Infinity ? 0 : Math.floor((word - at) / words);
  const offset = word - at - (block === 0 ? 0 : block * words);
  // Sizes and counts stand in capitals among the fields.
  const field = Object.entries(fields).find(([name, w]) => w === offset && !/^[A-Z]/.test(name))?.[0];
  return `${part.name(block)} ${field ?? `+${offset}`}`;
}
