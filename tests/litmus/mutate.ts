/** Runs the mutants: each on a copy of the tree, until a scenario notices it. @module */
import { original, TreeCopy, withDoors } from "./copy.ts";
import { mutants, type Patch } from "./mutants.ts";
import { leadThroughDoor, throughDoor } from "./raw.ts";

/** How one mutant went. */
export interface MutantRow {
  readonly name: string;
  readonly caught: boolean;
  /** Scenario that caught it, how, and with how many preemptions; why it changes nothing, or why it was not caught. */
  readonly by: string;
  /** Why it changes nothing that can be seen. */
  readonly equivalent?: string;
}

/** Copies that are worked on at a time. */
const JOBS = 2;

/** Runs every mutant, or those whose name has `only` in it; tells each row, in no order. */
export async function runMutants(each: (m: MutantRow) => void, only = ""): Promise<MutantRow[]> {
  const chosen = mutants().filter((p) => p.name.includes(only));
  const rows: MutantRow[] = [];
  const left = [...chosen];
  await Promise.all(Array.from({ length: JOBS }, async (_, job) => {
    const copy = new TreeCopy();
    try {
      // The tree as it is must pass, or being caught would mean nothing.
      if (job === 0) {
        const { by } = await copy.ask([
          ...new Set(chosen.flatMap((p) => p.equivalent === undefined ? p.asked : [])),
        ]);
        if (by !== "") throw new Error(`the tree without a mutant is caught by ${by}`);
      }
      for (let p = left.shift(); p !== undefined; p = left.shift()) {
        const row = await runMutant(copy, p);
        rows.push(row);
        each(row);
      }
    } finally {
      left.length = 0;
      copy.remove();
    }
  }));
  return rows;
}

async function runMutant(copy: TreeCopy, p: Patch): Promise<MutantRow> {
  const { name, file } = p;
  const text = original(file);
  const found = text.split(p.find).length - 1;
  if (found !== 1) return { name, caught: false, by: `its text was found ${found} times` };
  const { equivalent } = p;
  if (equivalent !== undefined) return { name, caught: false, by: `equivalent: ${equivalent}`, equivalent };
  const changed = withDoors(file, text.replace(p.find, () => p.replace));
  const restore = p.raw === true ? leadThroughDoor(copy).files : [file];
  copy.write(file, p.raw === true ? throughDoor(changed).text : changed);
  const { by } = await copy.ask(p.asked);
  for (const f of new Set([...restore, file])) copy.write(f, original(f));
  return { name, caught: by !== "", by: by === "" ? `not noticed by ${p.asked.join(", ")}` : by };
}
