/**
 * R24: a tap against its detach (rules 1b, 4a).
 *
 * Origin: FreeBSD D11782, PR 213896; D20224 = rS347526; cf. opnsense/src#285.
 *
 *     A: enter; b = if0.bpf                    B: bpfdetach(if0): if0.bpf = NULL
 *     A: b.listeners        <- freed           B: frees b
 *     A: exit
 *
 * Forbidden: NULL or freed tap; a live interface without its tap.
 * softc: the list's word is replaced, the block is freed after a grace period.
 */
import { load, store } from "../../../core/doors/arena.ts";
import { IFNET } from "../../../core/memory/arena.ts";
import type { TapPacket } from "../../../core/net/tap.ts";
import { assertLedger, openInstance, scratch } from "../../../testing/world.ts";
import { everywhere } from "../drivers/checked.ts";
import { DONE, type OneIf, oneIf, sender } from "../threads.ts";
import { defineLitmus } from "../litmus.ts";
import { legacy } from "../legacy.ts";

export default defineLitmus({
  id: "R24",
  title: "a tap against its detach",
  stored: "0.1-3.0",
  legacy: {
    name: "R24 legacy",
    threads: [
      legacy("B bpfdetach", (l) => {
        l.store(1, 1, 0);
        l.free(2);
      }, [[1, 1, 2]]),
      legacy("A ether_output", (l) =>
        l.section(() => {
          const b = l.load(1, 1);
          if (b !== 0) l.touch(b, "bif_dlist");
        })),
    ],
  },
  softc: {
    name: "R24",
    mustHappen: ["first tap", "second tap", "both", "sent"],
    arena: { heap: 12288 },
    threads: [{
      name: "B taps",
      async prepare(t) {
        const one = oneIf(t, everywhere);
        await openInstance(one.w, 1, true);
        return one;
      },
      operations: {
        async taps(t, { w }: OneIf) {
          const { taps } = w.ifs;
          const seen = new Set<string>();
          const onPacket = (label: string) => (p: TapPacket): void => {
            if (p.bytes.length !== 64) throw new Error(`the tap got ${p.bytes.length} bytes`);
            t.happened(label);
            seen.add(label);
            // One packet was sent, and both got their copy.
            if (seen.size === 2) t.happened("both");
          };
          const first = taps.attach(1, "if0", { onPacket: onPacket("first tap") });
          await w.control.step("tapped once");
          const second = taps.attach(1, "if0", { onPacket: onPacket("second tap") });
          await w.control.step("tapped twice");
          await first.close();
          await second.close();
          store(w.a, scratch(t.arena, DONE), 1);
          if (taps.size !== 0) throw new Error("a tap is still there");
        },
      },
    }, sender()],
    check({ arena }) {
      assertLedger(arena);
      if (load(arena.a, arena.ifnetAt(1) + IFNET.taps) !== 0) throw new Error("a tap is still linked");
    },
  },
});
