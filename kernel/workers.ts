/**
 * The workers behind CPUs 1 to n: started with a deadline, stopped by mail, never by force.
 *
 * @module
 */
import type { PortMessage } from "../core/cpu/cpu.ts";
import { type PlainError, revive } from "../core/cpu/cpu.ts";
import { SoftcError } from "../core/error.ts";
import type { Arena } from "../core/memory/arena.ts";
import { siblingUrl, spawn, type WorkerHandle } from "./spawn.ts";
import type { HostLink } from "./host_links.ts";
import type { CpuLink, CpuNews, CpuStart } from "./start.ts";

/** Milliseconds within which a worker must come up, and go down. */
const START_DEADLINE = 15_000;
const STOP_DEADLINE = 5_000;

/** One CPU's worker. */
export class CpuWorker {
  readonly #handle: WorkerHandle;
  readonly #down: Promise<void>;

  private constructor(readonly id: number, handle: WorkerHandle, down: Promise<void>) {
    this.#handle = handle;
    this.#down = down;
  }

  /**
   * Starts a CPU; resolves when its pump runs.
   *
   * @throws {SoftcError} `SOFTC_BOOT_CPU`
   */
  static async start(
    id: number,
    arena: Arena,
    virtualClock: boolean,
    onPort: (m: PortMessage) => void,
    onDeath: (e: Error) => void,
  ): Promise<CpuWorker> {
    const handle = await spawn(siblingUrl(import.meta.url, "worker"), { name: `softc cpu ${id}` });
    let ready = false;
    let wentDown: () => void;
    const down = new Promise<void>((resolve) => wentDown = resolve);
    try {
      await new Promise<void>((resolve, reject) => {
        const timer = setTimeout(
          () => reject(new Error(`no answer within ${START_DEADLINE} ms`)),
          START_DEADLINE,
        );
        const fail = (e: Error): void => {
          clearTimeout(timer);
          wentDown();
          if (ready) onDeath(e);
          else reject(e);
        };
        handle.onError(fail);
        handle.onMessage((m) => {
          const news = m as CpuNews | { readonly port: PortMessage };
          if ("port" in news) onPort(news.port);
          else if ("up" in news) {
            handle.post(
              { id, memory: arena.memory, config: arena.plan.config, virtualClock } satisfies CpuStart,
            );
          } else if ("down" in news) wentDown();
          else if ("died" in news) fail(revive(news.died as PlainError));
          else {
            ready = true;
            clearTimeout(timer);
            resolve();
          }
        });
      });
    } catch (cause) {
      await handle.terminate();
      throw new SoftcError("SOFTC_BOOT_CPU", `Cannot start CPU ${id}: ${(cause as Error).message}`, {
        cause,
      });
    }
    return new CpuWorker(id, handle, down);
  }

  /** Tells it of a driver host, before mail asks it to import from there. */
  link(link: HostLink): void {
    this.#handle.post({ link } satisfies CpuLink);
  }

  /** Waits until the pump has ended (it was told by mail), then ends the worker. False when it did not end in time. */
  async stop(): Promise<boolean> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<boolean>((resolve) => timer = setTimeout(() => resolve(false), STOP_DEADLINE));
    const ended = await Promise.race([this.#down.then(() => true), late]);
    clearTimeout(timer);
    await this.#handle.terminate();
    return ended;
  }
}
