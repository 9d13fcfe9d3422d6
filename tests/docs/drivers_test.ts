/** The middleware that docs/drivers.md shows does what the page says. */
import { assert, assertEquals } from "@std/assert";
import { ifCloneCreate, ifDetach, ifVmove, vnetCreate } from "../../mod.ts";
import { driverCounters, frames, send, untilAsync, withCleanKernel } from "../core/kit.ts";

const root = new URL("../../", import.meta.url);
const page = Deno.readTextFileSync(new URL("docs/drivers.md", root));
const { exports }: { exports: Record<string, string> } = JSON.parse(
  Deno.readTextFileSync(new URL("deno.json", root)),
);

/** The program of a section of the page, with its imports from this tree. */
function shown(section: string): string {
  const text = page.split(`\n## ${section}\n`)[1]!.match(/```ts\n(.*?)```/s)![1]!;
  return text.replaceAll(
    /"@softc\/softc([^"]*)"/g,
    (_, at: string) => `"${new URL(exports[`.${at}`]!, root)}"`,
  );
}

Deno.test("the wrapped pair of the page delays what each end receives by 20 ms, and loses some", async () => {
  const folder = Deno.makeTempDirSync({ prefix: "softc-docs-" });
  try {
    Deno.writeTextFileSync(`${folder}/wrapped.ts`, shown("wrap"));
    await withCleanKernel({ clock: "virtual" }, async ({ k }) => {
      await k.modules.load(`${folder}/wrapped.ts`);
      const [a, there] = await ifCloneCreate(k.vnet0, "epair");
      const { ifnet: b } = await ifVmove(there!, await vnetCreate(k.vnet0, "red"));
      await Promise.all([a!.up(), b.up()]);
      for (const [from, to] of [[a!, b], [b, a!]] as const) {
        const before = to.counters.ipackets;
        for (let n = 0; n < 10; n++) send(from.vnet, from, frames(50));
        k.advance(19);
        const under = (await k.ledger()).live.reduce((n, l) => n + l.lives, 0);
        assertEquals(to.counters.ipackets, before, "nothing has arrived after 19 ms");
        k.advance(1);
        await untilAsync("they arrive", async () => (await k.ledger()).live.length === 0);
        const { netem_late, netem_lost, trace_received } = await driverCounters(from);
        assertEquals([under, to.counters.ipackets - before], [netem_late, netem_late]);
        assertEquals(netem_late! + netem_lost!, 500);
        assert(netem_lost! > 0 && netem_lost! < 50, `${netem_lost} of 500 lost at 1 % twice`);
        assert(trace_received! >= netem_late!, `${trace_received} seen on the way in`);
      }
      send(a!.vnet, a!, frames(5));
      await ifDetach(a!); // what is under way ends with its sender, counted
    });
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
});
