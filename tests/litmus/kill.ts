/** Explores scenarios one after the other until one shows a violation, and says which: run on a mutated copy. */
import { explore } from "../../testing/mod.ts";
import { litmusFile, partFile, parts } from "./museum.ts";

for (const name of Deno.args) {
  const [id, pick] = name.split("/");
  const part = parts().includes(id!);
  try {
    const r = await explore(part ? partFile(id!) : litmusFile(id!), {
      ...(part ? {} : { scenario: pick ?? "softc" }),
      bound: id === "bells" ? 3 : 2,
      max: part ? 20_000 : 4000,
    });
    if (r.violation !== undefined || r.warnings.some((w) => w.includes("never happened"))) {
      console.log(
        `${name} (${r.violation?.kind ?? "vacuous"}, ${r.violation?.preemptions ?? r.bound} preemptions)`,
      );
      Deno.exit(1);
    }
  } catch (e) {
    console.log(`${name} (${(e as Error).message.split("\n")[0]!.slice(0, 80)})`);
    Deno.exit(1);
  }
}
