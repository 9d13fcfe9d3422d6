// Runs the explorer of the installed package: a lost update that must be found and replayed, and a plugin against a
// detach and a move. Prints one line of JSON.
import { explore, exploreDriver, replay } from "@softc/softc/testing";

const lost = new URL("./lost.mjs", import.meta.url).href;
const { violation } = await explore(lost);
const again = await replay(lost, violation.schedule);
const plugin = await exploreDriver(import.meta.resolve("softc-sink"), { bound: 1 });
console.log(JSON.stringify({
  found: violation.message,
  again: again.violation.message,
  plugin: plugin.map((r) => ({ violation: r.violation?.message, bound: r.bound, warnings: r.warnings })),
}));
