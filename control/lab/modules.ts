/** Modules of a lab: what is loaded, what goes, and what is to run elsewhere. @module */
import type { LoadSpec, System } from "../system.ts";
import type { Step } from "./plan.ts";
import type { Lab } from "./schema.ts";
import type { Unit } from "./units.ts";

/** Built-in modules, by the cloner that they bring. */
const BUILTIN: Readonly<Record<string, string>> = {
  lo: "softc:loopback",
  null: "softc:null",
  epair: "softc:epair",
  link: "softc:link",
  pcap: "softc:pcap",
  vhost: "softc:virtio",
  tap: "softc:tap",
};

/** Steps for modules, by when they are done. */
interface ModuleSteps {
  /** Unloads what is to run elsewhere, before it is loaded there. */
  readonly swap: Step[];
  readonly load: Step[];
  readonly unload: Step[];
  /** Names of what the swapped modules have: it goes with them. */
  readonly taken: ReadonlySet<string>;
}

/** Steps that bring about the modules which a lab asks for and its units need. */
export function moduleSteps(system: System, lab: Lab, units: readonly Unit[]): ModuleSteps {
  const asked = lab.modules.map((m) => typeof m === "string" ? { module: m } : m);
  const needed = units.flatMap(({ cloner }) => Object.hasOwn(BUILTIN, cloner) ? [BUILTIN[cloner]!] : []);
  // What is asked for says where it runs; what is only needed runs there too.
  const want = new Map<string, LoadSpec>();
  for (const m of [...asked, ...needed.map((module): LoadSpec => ({ module }))]) {
    const module = system.modules.normal(m.module);
    if (!want.has(module)) want.set(module, { ...m, module });
  }
  const have = system.kernel.modules.list().map((m) => ({
    name: m.name,
    spec: system.specOf(m),
    instances: m.instances,
  }));
  const there = new Set(have.map((h) => spellModule(h.spec)));
  const wanted = new Set([...want.values()].map(spellModule));
  const drop = async (text: string): Promise<void> => {
    const m = system.kernel.modules.list().find((x) => spellModule(system.specOf(x)) === text);
    if (m !== undefined) await system.unload(m.name, "drain");
  };
  const unload = ({ name, spec }: { name: string; spec: LoadSpec }): Step => ({
    text: `- module ${name}`,
    run: () => system.unload(name, "drain"),
    undo: () => system.load(spec),
  });
  const gone = have.filter((h) => !wanted.has(spellModule(h.spec)));
  const swapped = gone.filter((h) => want.has(h.spec.module));
  return {
    swap: swapped.map(unload),
    load: [...want.values()].filter((spec) => !there.has(spellModule(spec))).map((spec) => ({
      text: `+ module ${spellModule(spec)}`,
      run: () => system.load(spec),
      undo: () => drop(spellModule(spec)),
    })),
    // Last loaded goes first: it may depend on the others.
    unload: gone.filter((h) => !swapped.includes(h)).reverse().map(unload),
    taken: new Set(swapped.flatMap((h) => h.instances)),
  };
}

const spellModule = ({ module, host }: LoadSpec): string => `${module}${host === true ? " in a host" : ""}`;
