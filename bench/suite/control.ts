/**
 * The data path beside the API: traffic on CPU 1, the API on CPU 0, its clients in a process of their own. The
 * three are pinned where taskset is: what is measured is what the API costs, not who got which core.
 *
 * @module
 */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import process from "node:process";
import { createInterface, type Interface } from "node:readline";
import { fileURLToPath } from "node:url";
import { type ControlServer, serveControl } from "../../control/mod.ts";
import { boot, type Ifnet, type Kernel } from "../../mod.ts";
import { type Case, type Sampler, Skip } from "../harness.ts";
import { checked, type Suite } from "../suite.ts";

const STREAMS = 200;
const RATE = 1000;
const GROUP = `data path beside the API (${STREAMS} live streams, ${
  RATE.toLocaleString("en-US")
} requests/s)`;

interface Answers {
  readonly perSecond: number;
  readonly p50: number;
  readonly p99: number;
}

/** A system with traffic and its clients: one for all cases of the group. */
class Setting {
  static #shared: Promise<Setting> | undefined;
  static #users = 0;

  readonly #client: ChildProcess;
  readonly #lines: AsyncIterator<string>;
  /** What the clients saw last. */
  answers: Answers = { perSecond: 0, p50: 0, p99: 0 };

  private constructor(
    readonly kernel: Kernel,
    readonly server: ControlServer,
    client: ChildProcess,
    lines: Interface,
  ) {
    this.#client = client;
    this.#lines = lines[Symbol.asyncIterator]();
  }

  static use(): Promise<Setting> {
    if (availableParallelism() < 2) throw new Skip("needs two cores");
    this.#users++;
    return this.#shared ??= this.#open();
  }

  static async #open(): Promise<Setting> {
    const before = new Set(readdirSync("/proc/self/task"));
    const kernel = await boot({ cpus: 2 });
    const server = await serveControl(kernel, { limits: { requestsPerSecond: 100_000 } });
    await server.apply({
      modules: [],
      vnets: { a: { discard: false }, b: { discard: true } },
      interfaces: [],
      links: [{ name: "w", cloner: "epair", ends: [{ vnet: "a", up: true }, { vnet: "b", up: true }] }],
      traffic: [{ name: "t", vnet: "a", ifnet: "wa", bytes: 64, cpus: [1] }],
    });
    pin(before);
    const script = fileURLToPath(new URL("../peers/load.ts", import.meta.url));
    const args = [process.execPath, "run", "-A", script, server.url, server.token, STREAMS, RATE].map(String);
    const pinned = canPin() ? ["taskset", "-c", "0", ...args] : args;
    const client = spawn(pinned[0]!, pinned.slice(1), { stdio: ["pipe", "pipe", "inherit"] });
    return new Setting(kernel, server, client, createInterface({ input: client.stdout! }));
  }

  get sender(): Ifnet {
    return this.kernel.ifnets.find((i) => i.name === "wa")!;
  }

  /** Packets per second in millions over `ms`. */
  async mpps(ms: number): Promise<number> {
    const i = this.sender;
    const [from, at] = [i.counters.opackets, performance.now()];
    await new Promise((resolve) => setTimeout(resolve, ms));
    return (i.counters.opackets - from) / (performance.now() - at) / 1000;
  }

  /** Runs `fn` while the clients are at work. */
  async loaded<T>(fn: () => Promise<T>): Promise<T> {
    await this.#ask("on");
    const result = await fn();
    this.answers = JSON.parse(await this.#ask("off")) as Answers;
    return result;
  }

  /** Runs `fn` while something that has nothing to do with softc keeps the API's core busy. */
  async busy<T>(fn: () => Promise<T>): Promise<T> {
    if (!canPin()) throw new Skip("needs taskset");
    const args = ["-c", "0", process.execPath, "eval", "console.log(1); for (;;);"];
    const child = spawn("taskset", args, { stdio: ["ignore", "pipe", "inherit"] });
    try {
      await once(child.stdout, "data");
      return await fn();
    } finally {
      child.kill("SIGKILL");
    }
  }

  async release(): Promise<void> {
    if (--Setting.#users > 0) return;
    Setting.#shared = undefined;
    this.#client.stdin!.end();
    if (this.#client.exitCode === null) await once(this.#client, "exit");
    await this.server.close();
    await checked(this.kernel);
  }

  async #ask(line: string): Promise<string> {
    this.#client.stdin!.write(line + "\n");
    const { value, done } = await this.#lines.next();
    if (done === true) throw new Error("the client ended");
    return value as string;
  }
}

function canPin(): boolean {
  try {
    execFileSync("taskset", ["-c", "0", "true"]);
    return true;
  } catch {
    return false;
  }
}

/** This thread to core 0; the busiest of the threads that came since, which is CPU 1's worker, to core 1. */
function pin(before: ReadonlySet<string>): void {
  if (!canPin()) return;
  const ran = (id: string): number =>
    Number(readFileSync(`/proc/self/task/${id}/schedstat`, "utf8").split(" ")[0]);
  const fresh = readdirSync("/proc/self/task").filter((id) => !before.has(id)).sort((a, b) =>
    ran(b) - ran(a)
  );
  execFileSync("taskset", ["-pc", "0", String(process.pid)], { stdio: "ignore" });
  if (fresh[0] !== undefined) execFileSync("taskset", ["-pc", "1", fresh[0]], { stdio: "ignore" });
}

/** A case of the setting that all share. */
function shared(
  name: string,
  unit: string,
  sample: (s: Setting, ms: number) => Promise<number>,
  against?: string,
): Case {
  return {
    group: GROUP,
    name,
    unit,
    atLeast: 2000,
    ...(against === undefined ? {} : { against }),
    setup: async (): Promise<Sampler> => {
      const s = await Setting.use();
      // That the API's thread waits for its clients is part of what is measured: no sample is dropped for it.
      return {
        sample: async (ms) => ({ value: await sample(s, ms), wait: 0 }),
        teardown: () => s.release(),
      };
    },
  };
}

const ALONE = "the API idle";
const LOADED = "the API under load";

/** What the file measures. */
export const suite: Suite = {
  cases: [
    shared(ALONE, "Mpps", (s, ms) => s.mpps(ms)),
    shared(LOADED, "Mpps", (s, ms) => s.loaded(() => s.mpps(ms)), ALONE),
    // What any work on the other core costs here: two cores share caches, memory, and what the host gives them.
    shared("core 0 busy with a bare loop", "Mpps", (s, ms) => s.busy(() => s.mpps(ms)), ALONE),
    // Of the load that was put on last: each sample is one of its.
    shared("p50 of its answers", "ms", (s) => Promise.resolve(s.answers.p50)),
    shared("p99 of its answers", "ms", (s) => Promise.resolve(s.answers.p99)),
    shared("answers", "requests/s", (s) => Promise.resolve(s.answers.perSecond)),
  ],
  targets: [{
    name: "data path beside the API under load",
    group: GROUP,
    case: LOADED,
    against: ALONE,
    sense: ">=",
    aim: 0.9,
  }],
};
