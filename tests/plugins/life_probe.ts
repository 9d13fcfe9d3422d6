/**
 * A module of drivers that do as their options say and keep a journal: one file that every CPU appends to, so
 * its lines have one order across CPUs.
 *
 * The file is named by `?journal=` of the module's URL; a test that imports the same URL shares `control` with
 * the hooks that run on CPU 0.
 */
import {
  type Batch,
  defineDriver,
  defineModule,
  type Dev,
  type Driver,
  type IfChange,
  type IfDeclaration,
  type ModuleDef,
  struct,
  type Timer,
  type VnetVar,
} from "../../core/device/mod.ts";

/** What an instance is told. Hooks are named "stop", or "open@1" for one CPU alone. */
export interface ProbeOptions {
  /** Hooks that throw. */
  readonly fail?: readonly string[];
  /** Hooks that never settle. */
  readonly hang?: readonly string[];
  /** Hooks that block their CPU: milliseconds. */
  readonly spin?: Readonly<Record<string, number>>;
  /** Declared instead of an ether interface. */
  readonly declare?: IfDeclaration;
  readonly canMove?: string;
  readonly canDetach?: string;
  /** Period of a timer that re-arms itself. */
  readonly timer?: number;
  /** Runs a task that ends one macrotask after its signal aborts. */
  readonly task?: boolean;
  /** transmit takes nothing: everything stays queued. */
  readonly stalled?: boolean;
  /** First byte of the payload that may leave; `reassign` changes it to the vnet's first letter. */
  readonly owner?: string;
  /** Queues an epoch callback in stop. */
  readonly callback?: boolean;
  /** Queues an epoch callback in set. */
  readonly callbackOnSet?: boolean;
  /** Rings an interrupt whenever it transmits. */
  readonly interrupt?: boolean;
}

/** What hooks on CPU 0 share with a test that imports this very URL. */
export const control: {
  gates: Map<string, Promise<void>>;
  quiesce: true | string;
  vnetInit: (() => void) | undefined;
  vars: string[];
  generation: number;
} = { gates: new Map(), quiesce: true, vnetInit: undefined, vars: [], generation: 0 };
control.generation++;

const journal = new URL(import.meta.url).searchParams.get("journal");

/** Adds a line to the journal. */
export function note(line: string): void {
  if (journal !== null) Deno.writeTextFileSync(journal, line + "\n", { append: true });
}

function act(hook: string, dev: Dev, detail = ""): void | Promise<void> {
  const o = (dev.options ?? {}) as ProbeOptions;
  const here = [hook, `${hook}@${dev.cpu}`];
  note(`${here[1]}${detail}`);
  const ms = o.spin?.[hook];
  if (ms !== undefined) { for (const end = performance.now() + ms; performance.now() < end;); }
  if (here.some((h) => o.fail?.includes(h))) throw new Error(`planted in ${hook}`);
  if (here.some((h) => o.hang?.includes(h))) return new Promise(() => {});
  const gate = dev.cpu === 0 ? control.gates.get(hook) : undefined;
  return gate?.then(() => note(`${hook}@${dev.cpu} goes on`));
}

interface Softc {
  readonly dev: Dev;
  owner: number;
  timer: Timer | undefined;
  ring: () => void;
  /** Set by destroy and close: nothing is called with it any more. */
  ended: boolean;
}

function arm(dev: Dev): Softc {
  const o = (dev.options ?? {}) as ProbeOptions;
  dev.ifnet(o.declare ?? { type: "ether" });
  const sc: Softc = {
    dev,
    owner: o.owner?.charCodeAt(0) ?? 0,
    timer: undefined,
    ring: () => {},
    ended: false,
  };
  if (o.timer !== undefined) {
    const ms = o.timer;
    sc.timer = dev.timer(() => {
      sc.timer!.set(ms);
      void act("timer", dev);
    });
    sc.timer.set(ms);
  }
  if (o.interrupt === true) {
    const bell = dev.interrupt(() => void act("interrupt", dev));
    sc.ring = () => bell.ring();
  }
  if (o.task === true) {
    void dev.task(async (signal) => {
      note("task begins");
      await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
      await new Promise((resolve) => setTimeout(resolve, 0));
      note("task ends");
    });
  }
  return sc;
}

const hooks = {
  async attach(dev: Dev): Promise<Softc> {
    const sc = arm(dev);
    await act("attach", dev);
    return sc;
  },
  set(sc: Softc, c: IfChange): void | Promise<void> {
    const o = sc.dev.options as ProbeOptions | undefined;
    if (o?.callbackOnSet === true) sc.dev.epochCall(() => void act("callback", sc.dev));
    return act("set", sc.dev, ` ${JSON.stringify(c)}`);
  },
  canDetach(sc: Softc): true | string {
    void act("canDetach", sc.dev);
    return (sc.dev.options as ProbeOptions | undefined)?.canDetach ?? true;
  },
  canMove(sc: Softc, to: { name: string }): true | string {
    void act("canMove", sc.dev, ` ${to.name}`);
    return (sc.dev.options as ProbeOptions | undefined)?.canMove ?? true;
  },
  reassign(sc: Softc, to: { name: string }): void | Promise<void> {
    const done = act("reassign", sc.dev, ` ${to.name}`);
    sc.owner = to.name.charCodeAt(0);
    return done;
  },
  stop(sc: Softc): void | Promise<void> {
    const o = sc.dev.options as ProbeOptions | undefined;
    if (o?.callback === true) sc.dev.epochCall(() => void act("callback", sc.dev));
    return act("stop", sc.dev);
  },
  destroy(sc: Softc): void {
    sc.ended = true;
    try {
      sc.timer?.set(1);
      if (sc.timer !== undefined) note("re-armed after stop");
    } catch (e) {
      note(`re-arming refused: ${(e as { code?: string }).code}`);
    }
    void act("destroy", sc.dev);
  },
};

function transmit(sc: Softc, b: Batch): number {
  if (sc.ended) note(`transmit@${sc.dev.cpu} after the end`);
  const o = (sc.dev.options ?? {}) as ProbeOptions;
  if (o.fail?.includes("transmit") === true) throw new Error("planted in transmit");
  if (o.stalled === true) return 0;
  if (sc.owner !== 0) {
    let foreign = 0;
    for (let i = 0; i < b.length; i++) if (b.bytes(i)[14] !== sc.owner) foreign++;
    sc.dev.count("left", b.length);
    if (foreign > 0) sc.dev.count("foreign", foreign);
  }
  sc.ring();
  return b.freeAll();
}

/** Homed: other CPUs reach it through rings. */
const probe: Driver<unknown> = defineDriver({
  name: "probe",
  api: 1,
  cloner: "probe",
  shared: struct({ seen: "i32" }),
  ...hooks,
  transmit,
});

/** With a part on every CPU. */
const probes: Driver<unknown> = defineDriver({
  name: "probes",
  api: 1,
  cloner: "probes",
  queues: "per-cpu",
  ...hooks,
  async open(dev: Dev): Promise<Softc> {
    const local: Softc = { dev, owner: 0, timer: undefined, ring: () => {}, ended: false };
    await act("open", dev);
    return local;
  },
  close(l: Softc): void | Promise<void> {
    l.ended = true;
    return act("close", l.dev);
  },
  transmit,
});

/** Two at once. */
const twins: Driver<unknown> = defineDriver({
  name: "twins",
  api: 1,
  cloner: "twins",
  instances: 2,
  ...hooks,
  transmit,
});

const vnetVars: VnetVar<unknown>[] = [30, 10, 20].map((order) => ({
  order,
  init(v) {
    control.vnetInit?.();
    control.vars.push(`init ${order} ${v.name}`);
    return { order, vnet: v.name };
  },
  uninit(v, value) {
    control.vars.push(`uninit ${order} ${v.name} ${(value as { vnet: string }).vnet === v.name}`);
  },
}));

const module: ModuleDef = defineModule({
  name: "probe",
  api: 1,
  drivers: [probe, probes, twins],
  vnetVars,
  load: () => note("load"),
  quiesce: () => control.quiesce,
  unload: () => note("unload"),
});
export default module;
