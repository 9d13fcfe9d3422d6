/**
 * A driver host, as CPU 0 sees it: a worker that runs a module behind a border.
 *
 * The worker is watched: its bell is rung, and its pump must take a turn within the deadline, whether anything
 * waits for it or not. A worker that spins, that has exited without a word (Deno tells nobody) or that hangs
 * is given up: its border ends, its worker is told to end, and nothing of it is waited for again. A busy
 * worker runs on all the same; it has nothing of the kernel's to harm.
 *
 * @module
 */
import process from "node:process";
import { revive } from "../core/cpu/cpu.ts";
import { BORDER, Border, type BorderConfig } from "../core/device/host_border.ts";
import { type HostFacts, readError, readFacts } from "../core/device/host_proxy.ts";
import type { HostedCode } from "../core/device/modules.ts";
import { SoftcError } from "../core/error.ts";
import { checkNames, type Names } from "../core/options.ts";
import type { HostLink } from "./host_links.ts";
import type { HostNews, HostOrder, HostStart } from "./host_start.ts";
import { siblingUrl, spawn, type WorkerHandle } from "./spawn.ts";

/** How a module is run in a worker of its own. */
export interface HostOptions {
  /**
   * Permissions of Deno's worker; what it must import (the folder of the driver's file, this package) is added
   * to what it may read. Needs
   * `"unstable": ["worker-options"]` in the application's deno.json: without it Deno ends the process, code 70.
   * Not on Node or Bun. Left out: the application's own, and no flag is needed.
   */
  readonly permissions?: "none" | Readonly<Record<string, unknown>>;
  /** Interfaces that it may have at a time, 1 to 64; 8 unless told. */
  readonly interfaces?: number;
  /** Packets under way each way of each interface: a power of two, 16 to 4096; 256 unless told. */
  readonly slots?: number;
  /** Milliseconds within which its thread must take a turn and a hook must settle, from 10 on; 2000 unless told. */
  readonly deadline?: number;
  /** Bytes of the arena that is the host's own, 1 MiB to 256 MiB; 4 MiB unless told. */
  readonly arena?: number;
}

const NAMES: Names<HostOptions> = {
  permissions: true,
  interfaces: true,
  slots: true,
  deadline: true,
  arena: true,
};

/** What a host needs of its kernel. */
export interface HostKernel {
  /** Tells it from the kernel's other hosts. */
  readonly number: number;
  readonly debug: boolean;
  /** It was lost: what it had must go. */
  onLost(host: DriverHost, e: SoftcError): void;
  /** Something was wrong with how it ended. */
  onFault(e: SoftcError): void;
}

/** Milliseconds within which a host must have come up and imported its module. */
const START_DEADLINE = 15_000;

/** A running host. */
export class DriverHost implements HostedCode {
  readonly url: string;
  readonly facts: HostFacts;
  lost: SoftcError | undefined;
  /** The runtime says that its worker is gone. */
  over = false;
  readonly #of: string;
  readonly #worker: WorkerHandle;
  readonly #border: Border;
  readonly #deadline: number;
  readonly #kernel: HostKernel;
  readonly #answers = new Map<number, (news: HostNews) => void>();
  #asked = 0;
  #watch: ReturnType<typeof setTimeout> | undefined;
  #ended: Promise<void> | undefined;

  private constructor(
    of: string,
    worker: WorkerHandle,
    border: Border,
    facts: HostFacts,
    deadline: number,
    kernel: HostKernel,
  ) {
    this.url = `softc-host:${kernel.number}`;
    this.#of = of;
    this.#worker = worker;
    this.#border = border;
    this.facts = facts;
    this.#deadline = deadline;
    this.#kernel = kernel;
    worker.onMessage((m) => this.#hear(m as HostNews));
    worker.onError((e) => this.#lose("SOFTC_HOST_LOST", `ended: ${e.message}`, e));
    void border.ended().then(() => {
      if (border.state === BORDER.broken) this.#lose("SOFTC_HOST_PROTOCOL", "broke its border");
    });
    this.#look();
  }

  /**
   * Starts a worker that imports the module at `url`.
   *
   * @throws {SoftcError} `SOFTC_HOST_ARGUMENT`, `SOFTC_HOST_PERMISSIONS`, `SOFTC_HOST_STALLED`, what the module threw
   */
  static async start(url: string, o: HostOptions, kernel: HostKernel): Promise<DriverHost> {
    const { config, deadline, arena } = readOptions(o);
    const permissions = readPermissions(o.permissions, url);
    const border = Border.create(config);
    const worker = await spawn(siblingUrl(import.meta.url, "host_worker"), {
      name: `softc host of ${url}`,
      ...(permissions === undefined ? {} : { permissions }),
    });
    const start: HostStart = { buffer: border.buffer, config, url, arena, deadline, debug: kernel.debug };
    try {
      const facts = await new Promise<HostFacts>((resolve, reject) => {
        const late = setTimeout(
          () =>
            reject(
              new SoftcError("SOFTC_HOST_STALLED", `The driver host of ${url} did not start`, {
                state: `starting for ${START_DEADLINE} ms`,
                wanted: "ready",
              }),
            ),
          START_DEADLINE,
        );
        const settle = (fn: () => void): void => {
          clearTimeout(late);
          fn();
        };
        worker.onError((e) => settle(() => reject(e)));
        worker.onMessage((m) => {
          const news = m as HostNews;
          if ("up" in news) worker.post(start);
          else if ("failed" in news) settle(() => reject(revive(readError(news.failed))));
          else if ("ready" in news) {
            settle(() => {
              try {
                resolve(readFacts(news.ready));
              } catch (e) {
                reject(e);
              }
            });
          }
        });
      });
      return new DriverHost(url, worker, border, facts, deadline, kernel);
    } catch (e) {
      border.end(BORDER.ended);
      await worker.terminate();
      throw e;
    }
  }

  /** What every CPU must know before it imports {@linkcode DriverHost.url}. */
  get link(): HostLink {
    const { url, facts } = this;
    const { buffer, config } = this.#border;
    return { url, buffer, config, facts, deadline: this.#deadline };
  }

  /** For people. */
  get name(): string {
    return `host of ${this.facts.name}`;
  }

  /** Asks the module whether it may go now. */
  readonly quiesce = async (): Promise<true | string> => {
    const news = await this.#ask("quiesce");
    return news !== undefined && "answer" in news && news.answer !== true ? String(news.answer) : true;
  };

  /** Takes the module and its interfaces apart in the host, then ends the worker. */
  end(): Promise<void> {
    return this.#ended ??= this.#end();
  }

  async #end(): Promise<void> {
    const news = await this.#ask("end");
    if (this.lost !== undefined) return;
    clearTimeout(this.#watch);
    this.#border.end(BORDER.ended);
    await this.#worker.terminate();
    this.over = true;
    if (news === undefined || !("down" in news)) {
      this.#kernel.onFault(this.#error("SOFTC_HOST_STALLED", "did not end when it was told to"));
    } else if (news.down.length > 0) {
      this.#kernel.onFault(this.#error("SOFTC_ARENA_LEAK", `left behind: ${news.down.join("; ")}`));
    }
  }

  /** An order, and its answer; `undefined` past the deadline, or when the host is lost. */
  async #ask(order: HostOrder["order"]): Promise<HostNews | undefined> {
    if (this.lost !== undefined) return undefined;
    const id = ++this.#asked;
    const answer = new Promise<HostNews | undefined>((resolve) => {
      // Ending takes a hook's deadline for each step of the way.
      const late = setTimeout(() => resolve(undefined), this.#deadline * (order === "end" ? 4 : 1));
      this.#answers.set(id, (news) => {
        clearTimeout(late);
        resolve(news);
      });
      this.#worker.post({ id, order } satisfies HostOrder);
    });
    try {
      return await Promise.race([answer, this.#border.ended().then(() => undefined)]);
    } finally {
      this.#answers.get(id)?.({ up: true });
      this.#answers.delete(id);
    }
  }

  #hear(news: HostNews): void {
    if ("id" in news) this.#answers.get(news.id)?.(news);
    else if ("panic" in news) this.#kernel.onFault(this.#error("SOFTC_DRIVER_THREW", String(news.panic)));
  }

  /** Rings, waits a deadline, looks whether a turn was taken. */
  #look(): void {
    const { turns } = this.#border;
    this.#border.ringHost(true);
    this.#watch = setTimeout(() => {
      if (this.#border.turns !== turns) this.#look();
      else this.#lose("SOFTC_HOST_STALLED", `took no turn within ${this.#deadline} ms`);
    }, this.#deadline);
  }

  #lose(
    code: "SOFTC_HOST_LOST" | "SOFTC_HOST_STALLED" | "SOFTC_HOST_PROTOCOL",
    what: string,
    cause?: Error,
  ): void {
    if (this.lost !== undefined) return;
    clearTimeout(this.#watch);
    const ending = this.#ended !== undefined;
    this.lost = this.#error(code, what, cause);
    this.#border.end(BORDER.ended);
    const gone = this.#worker.terminate().then(() => void (this.over = true));
    this.#ended ??= gone;
    if (ending) this.#kernel.onFault(this.lost);
    else this.#kernel.onLost(this, this.lost);
  }

  #error(
    code:
      | "SOFTC_HOST_LOST"
      | "SOFTC_HOST_STALLED"
      | "SOFTC_HOST_PROTOCOL"
      | "SOFTC_ARENA_LEAK"
      | "SOFTC_DRIVER_THREW",
    what: string,
    cause?: Error,
  ): SoftcError {
    return new SoftcError(code, `The driver host of module "${this.facts.name}" (${this.#of}) ${what}`, {
      cause,
    });
  }
}

/** The options, checked. @throws {SoftcError} `SOFTC_HOST_ARGUMENT`, `SOFTC_OPTION_UNKNOWN` */
function readOptions(o: HostOptions): { config: BorderConfig; deadline: number; arena: number } {
  checkNames("start a driver host", o, NAMES);
  const whole = (name: string, value: number, min: number, max: number): number => {
    if (Number.isInteger(value) && value >= min && value <= max) return value;
    throw new SoftcError("SOFTC_HOST_ARGUMENT", `Cannot start a driver host with ${name} ${String(value)}`, {
      wanted: `a whole number from ${min} to ${max}`,
    });
  };
  const slots = whole("slots", o.slots ?? 256, 16, 4096);
  if ((slots & (slots - 1)) !== 0) {
    throw new SoftcError("SOFTC_HOST_ARGUMENT", `Cannot start a driver host with slots ${slots}`, {
      wanted: "a power of two",
    });
  }
  return {
    config: { sections: whole("interfaces", o.interfaces ?? 8, 1, 64), slots },
    deadline: whole("deadline", o.deadline ?? 2000, 10, 2 ** 31 - 1),
    arena: whole("arena", o.arena ?? 4 << 20, 1 << 20, 256 << 20),
  };
}

/** Deno's permissions for the worker, which must be able to read the driver. @throws {SoftcError} `SOFTC_HOST_PERMISSIONS` */
function readPermissions(p: HostOptions["permissions"], url: string): Record<string, unknown> | undefined {
  if (p === undefined) return undefined;
  if (!("deno" in process.versions)) {
    throw new SoftcError(
      "SOFTC_HOST_PERMISSIONS",
      "Cannot take permissions from a driver host on this runtime",
    );
  }
  const none = {
    env: false,
    ffi: false,
    import: false,
    net: false,
    read: false,
    run: false,
    sys: false,
    write: false,
  };
  const wanted = p === "none" ? none : { ...none, ...p };
  if (!url.startsWith("file:") || wanted.read === true) return wanted;
  // What it imports: its own files and this package's.
  const own = [new URL(".", url), new URL("..", import.meta.url)].filter((u) => u.protocol === "file:");
  return { ...wanted, read: [...(Array.isArray(wanted.read) ? wanted.read : []), ...own] };
}
