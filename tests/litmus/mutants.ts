/**
 * Mutants: the tree with one small mistake, which some scenario must notice.
 *
 * Two kinds: generated ones, from every door site of the functions in `SITES` (drop the call, make it plain,
 * split a compare-and-swap, swap it with the next statement), and source patches. Each is applied to a copy of
 * the tree; nothing of them is in shipped code.
 *
 * @module
 */
import { original } from "./copy.ts";
import { PATCHES } from "./patches.ts";

/** A change of one file: `find` matches exactly once. */
export interface Patch {
  readonly name: string;
  readonly file: string;
  readonly find: string;
  readonly replace: string;
  /** Scenarios that are asked, most likely first. */
  readonly asked: readonly string[];
  /** Why nothing that can be seen changes. */
  readonly equivalent?: string;
  /** Asked on a copy whose raw loops are led through the door. */
  readonly raw?: boolean;
}

/** Functions whose door sites are mutated, and the scenarios that are asked about each. */
const SITES: readonly { readonly file: string; readonly from: string; readonly asked: readonly string[] }[] =
  [
    { file: "core/epoch/epoch.ts", from: "  enter(): void {", asked: ["R24", "R08", "R06"] },
    { file: "core/epoch/epoch.ts", from: "  exit(): void {", asked: ["R24", "R08", "R06"] },
    { file: "core/memory/ring.ts", from: "export function ringRoom", asked: ["ring"] },
    { file: "core/memory/ring.ts", from: "export function ringPush", asked: ["ring"] },
    { file: "core/memory/ring.ts", from: "export function ringReady", asked: ["ring"] },
    { file: "core/memory/ring.ts", from: "export function ringWaits", asked: ["ring"] },
    { file: "core/memory/ring.ts", from: "export function ringRelease", asked: ["ring"] },
    { file: "core/cpu/mailbox.ts", from: "  #put(words", asked: ["mail", "sleep"] },
    { file: "core/cpu/mailbox.ts", from: "  next(): Mail", asked: ["mail", "sleep"] },
    { file: "core/cpu/mailbox.ts", from: "  waits(): boolean", asked: ["mail", "sleep"] },
    { file: "core/cpu/cpu.ts", from: "  ring(k: number): void", asked: ["sleep", "sleep2", "bells"] },
    { file: "core/cpu/cpu.ts", from: "  lieDown(): number", asked: ["sleep", "sleep2", "bells"] },
    { file: "core/memory/mbuf.ts", from: "  #pop(stack", asked: ["depot"] },
    { file: "core/memory/mbuf.ts", from: "  #push(stack", asked: ["depot"] },
    { file: "core/net/ref.ts", from: "export function ifTryRef", asked: ["refs", "R06", "R07"] },
    { file: "core/net/ref.ts", from: "export function dropRef", asked: ["R07", "R06"] },
    { file: "core/net/ref.ts", from: "export function tryKill", asked: ["R07", "R06"] },
    {
      file: "core/net/section.ts",
      from: "export function ifnetByIndexAttached",
      asked: ["R08", "R01", "R15"],
    },
    { file: "core/net/section.ts", from: "export function ifnetByHandle", asked: ["R04"] },
    { file: "core/net/section.ts", from: "function found(", asked: ["R08", "R01"] },
    { file: "core/net/interfaces.ts", from: "  link(e: IfEntry", asked: ["R08", "R15", "R05"] },
    { file: "core/net/interfaces.ts", from: "  unlink(e: IfEntry", asked: ["R08", "R04", "R01"] },
    { file: "core/net/interfaces.ts", from: "  hangAfdata(", asked: ["R15", "R08"] },
    { file: "core/net/interfaces.ts", from: "  takeAfdata(", asked: ["R08", "R01"] },
    { file: "core/net/tap.ts", from: "  attach(index", asked: ["R24"] },
    { file: "core/net/tap.ts", from: "  #unlink(tap", asked: ["R24"] },
    { file: "vnet/inet/neighbour.ts", from: "export function neighbourRead", asked: ["neighbour", "holds"] },
    { file: "vnet/inet/neighbour.ts", from: "export function holdPush", asked: ["holds"] },
    { file: "vnet/inet/neighbour.ts", from: "export function holdTake", asked: ["holds"] },
    { file: "core/net/state.ts", from: "export function transition", asked: ["R10", "R15", "R06"] },
    { file: "core/net/state.ts", from: "export function tryTransition", asked: ["R10", "R06"] },
  ];

/** Text from an anchor to the end of its function. */
function body(text: string, anchor: string): string {
  const at = text.indexOf(anchor);
  if (at < 0) throw new Error(`no "${anchor}"`);
  const indent = /^ */.exec(anchor)![0];
  const end = text.indexOf(`\n${indent}}`, at);
  return text.slice(at, end + indent.length + 2);
}

/** Every generated mutant of a function. */
function generate(text: string, site: typeof SITES[number]): Patch[] {
  const fn = body(text, site.from);
  const lines = fn.split("\n");
  const short = /#?\w+(?=\()/.exec(site.from)?.[0] ?? site.from.replace("export function ", "").trim();
  const patches: Patch[] = [];
  const add = (what: string, changed: readonly string[]): void => {
    const name = `${site.file}: ${short}: ${what}`;
    const same = patches.filter((p) => p.name.startsWith(name)).length;
    patches.push({
      name: same === 0 ? name : `${name} (${same + 1})`,
      file: site.file,
      find: fn,
      replace: changed.join("\n"),
      asked: site.asked,
    });
  };
  lines.forEach((line, i) => {
    const changed = (to: string, next = lines[i + 1]): string[] =>
      lines.flatMap((l, k) => k === i ? [to] : k === i + 1 ? [next!] : [l]);
    const text = line.trim();
    // Not asked: the count of copies that a tap missed, and whether it wants dropped packets too.
    if (/missed|TAP\.drops/.test(text)) return;
    if (/^(store|set|add|notify)\(.*\);$/.test(text)) {
      add(`drop ${text}`, changed(""));
      const next = lines[i + 1]?.trim() ?? "";
      if (/^[\w.#]+(\(.*\)| = .*);$/.test(next) && !next.startsWith("return")) {
        add(`swap ${text}`, lines.flatMap((l, k) => k === i ? [lines[i + 1]!] : k === i + 1 ? [line] : [l]));
      }
    }
    if (/\bstore\(/.test(text)) add(`plain ${text}`, changed(line.replace(/\bstore\(/, "set(")));
    if (/\bload\(/.test(text)) add(`plain ${text}`, changed(line.replace(/\bload\(/, "get(")));
    const cas = /\bcas\(([^,]+), ([^,]+), (.*?), ([^,]+?)(?:, [\w.#]*wasm)?\) === /.exec(line);
    if (cas !== null) {
      // Load, compare, then store: not in one piece.
      const split = `((v: number) => (v === ${cas[3]} && store(${cas[1]}, ${cas[2]}, ${cas[4]}), v))(load(${
        cas[1]
      }, ${cas[2]})) === `;
      add(`split ${text}`, changed(line.slice(0, cas.index) + split + line.slice(cas.index + cas[0].length)));
    }
    if (/^add\(/.test(text)) {
      const m = /^(\s*)add\(([^,]+), ([^,]+), (.*)\);$/.exec(line);
      if (m !== null) {
        add(`split ${text}`, changed(`${m[1]}store(${m[2]}, ${m[3]}, load(${m[2]}, ${m[3]}) + ${m[4]});`));
      }
    }
  });
  return patches;
}

/** Every mutant. */
export function mutants(): Patch[] {
  const generated = SITES.flatMap((s) => generate(original(s.file), s));
  const judged = generated.map((p) => {
    const why = EQUIVALENT.find(([name]) => name.test(p.name))?.[1];
    return why === undefined ? p : { ...p, equivalent: why };
  });
  return [...judged, ...PATCHES];
}

/** Generated mutants that change nothing that can be seen: part of their name, and the reason. */
const EQUIVALENT: readonly (readonly [RegExp, string])[] = [
  [
    /ring\.ts: ringRoom: (drop|swap) set/,
    "a hint of the consumer's index: without it the true one is loaded more often",
  ],
  [
    /ring\.ts: ringReady: (drop|swap) set/,
    "a hint of the producer's index: without it the true one is loaded more often",
  ],
  [
    /link: plain const gencnt = load/,
    "CPU 0 alone writes gencnt, and it is CPU 0 that reads its own word here",
  ],
  [/unlink: swap store/, "the list of names is CPU 0's own: no other CPU can see which went first"],
  [/hangAfdata: plain/, "published by the atomic store of gencnt that follows in the same piece of code"],
  [/takeAfdata: plain const/, "CPU 0 alone writes the word, and it is CPU 0 that reads it here"],
  [
    /takeAfdata: (drop|plain) store/,
    "behind unlink and a grace period nobody reads the word before it is written again",
  ],
  [
    /tap\.ts: attach: (plain|swap) store\(a, tap/,
    "published by the atomic store of the list's word that follows",
  ],
  [/tap\.ts: attach: swap store\(a, first/, "the map of linked taps is CPU 0's own"],
  [/tap\.ts: #unlink: plain .*load\(/, "CPU 0 alone writes the list, and it is CPU 0 that reads it here"],
  [/holdPush: plain store\(a, link/, "published by the compare-and-swap of the queue's word that follows"],
  [/holdTake: plain id = load/, "behind the exchange of the queue's word nobody else writes the links"],
  [/state\.ts: \w+: split/, "only CPU 0 changes a state word, in one piece of code: nobody can come between"],
  [
    /tryKill: split if/,
    "behind the grace period a count of 0 stays 0: references are only taken of what is attached",
  ],
];
