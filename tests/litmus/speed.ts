/** How fast the explorer is: a program of two threads with ten accesses each, all of them contended. @module */
import { explore } from "../../testing/mod.ts";

/** Schedules a second that the explorer is to reach on two free cores. */
const WANTED = 5000;

/** Measures three times and prints the best; true when it is fast enough. */
export async function speed(say: (text: string) => void): Promise<boolean> {
  const url = new URL("../explore/programs.ts", import.meta.url).href;
  const rates: number[] = [];
  for (let i = 0; i < 3; i++) {
    const r = await explore(url, { scenario: "10+10", bound: 4, max: 30_000 });
    rates.push(r.perSecond);
    say(`2 threads, 20 accesses: ${r.runs} schedules, ${r.perSecond} a second`);
  }
  const best = Math.max(...rates);
  say(`best ${best} schedules a second, wanted ${WANTED}: ${best >= WANTED ? "PASS" : "FAIL"}`);
  return best >= WANTED;
}
