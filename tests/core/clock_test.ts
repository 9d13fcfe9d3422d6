import { assert, assertEquals } from "@std/assert";
import { Timers } from "../../core/doors/clock.ts";

Deno.test("timers that are armed and cancelled for ever fill no memory, and others keep their order", () => {
  let now = 0;
  const timers = new Timers({ now: () => now, virtual: true });
  const fired: number[] = [];
  for (let i = 0; i < 100_000; i++) {
    const keep = i % 1000 === 0;
    const entry = timers.after(1000 - i / 100, () => fired.push(i));
    if (!keep) entry.armed = false;
  }
  assertEquals(timers.size, 100);
  assert(timers.kept <= 2 * 100 + 64, `${timers.kept} are kept`);
  for (now = 0; now <= 1000; now++) timers.run();
  assertEquals(fired, Array.from({ length: 100 }, (_, i) => 99_000 - 1000 * i));
});
