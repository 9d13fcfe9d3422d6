/**
 * A network namespace of Linux as the peer of a softc kernel: made, used and removed by each test.
 *
 * @module
 */
import { assertEquals } from "@std/assert";
import {
  boot,
  type BootOptions,
  ifCloneCreate,
  type Ifnet,
  type Kernel,
  type ShutdownReport,
} from "../../mod.ts";
import { assertNoLeaks, poll } from "../helpers/leaks.ts";
import { Capture } from "./capture.ts";
import { type Output, run, runs } from "./run.ts";

/** Why a test against Linux cannot run here; `undefined` when it can. */
export function missing(...tools: (readonly string[])[]): string | undefined {
  return tapMissing(["tshark", "--version"], ...tools);
}

/** Why there can be no TAP device in a namespace here; `undefined` when there can. */
export function tapMissing(...tools: (readonly string[])[]): string | undefined {
  if (Deno.build.os !== "linux" || Deno.build.arch !== "x86_64") return "it needs Linux on x86_64";
  if (Deno.uid() !== 0) return "it needs root";
  try {
    Deno.statSync("/dev/net/tun");
  } catch {
    return "it needs /dev/net/tun";
  }
  for (const tool of [["ip", "-V"], ...tools]) {
    if (!runs(tool)) return `it needs ${tool[0]}`;
  }
  const name = `softc-probe-${Deno.pid}`;
  if (!runs(["ip", "netns", "add", name])) return "it needs network namespaces";
  runs(["ip", "netns", "del", name]);
  return undefined;
}

/** Linux, and a kernel with a tap into it. */
export interface Lab {
  readonly kernel: Kernel;
  /** The tap, UP. */
  readonly tap: Ifnet;
  readonly netns: string;
  /** Runs a command in the namespace; fails the test unless it succeeds. */
  linux(...command: string[]): Promise<string>;
  /** Runs it and gives back whatever came of it. */
  attempt(...command: string[]): Promise<Output>;
  /** Puts an interface into the capture that tshark judges at the end. */
  capture(i: Ifnet): void;
  /** Set by a test that ends the kernel's books itself. */
  report?: ShutdownReport;
}

let count = 0;

/** Builds a lab, runs the body, takes it down; then the books must balance and tshark must find nothing wrong. */
export async function lab(options: BootOptions, body: (lab: Lab) => Promise<void>): Promise<void> {
  const netns = `softc-${Deno.pid}-${count++}`;
  const ip = async (...args: string[]): Promise<string> => {
    const { code, text } = await run(["ip", ...args]);
    assertEquals(code, 0, `ip ${args.join(" ")}: ${text}`);
    return text;
  };
  const capture = new Capture();
  await ip("netns", "add", netns);
  try {
    await assertNoLeaks(async (watch) => {
      const faults: string[] = [];
      const kernel = watch(await boot({ ...options, onFault: (e) => faults.push(e.message) }));
      try {
        await kernel.modules.load("softc:tap");
        const [tap] = await ifCloneCreate(kernel.vnet0, "tap", { options: { device: "tap0", netns } });
        capture.add(tap);
        await tap.up();
        await ip("-n", netns, "link", "set", "lo", "up");
        const attempt = (...command: string[]): Promise<Output> =>
          run(["ip", "netns", "exec", netns, ...command]);
        await body({
          kernel,
          tap,
          netns,
          capture: (i) => capture.add(i),
          attempt,
          async linux(...command) {
            const { code, text } = await attempt(...command);
            assertEquals(code, 0, `${command.join(" ")}: ${text}`);
            return text;
          },
        });
      } finally {
        const report = await kernel.shutdown();
        assertEquals({ unaccounted: report.unaccounted, leaks: report.leaks, wedged: report.wedged }, {
          unaccounted: 0,
          leaks: [],
          wedged: [],
        });
      }
    });
    await capture.judged();
  } finally {
    await run(["ip", "netns", "del", netns]);
  }
}

/** Waits until the condition holds; fails the test when it does not within the deadline. */
export async function until(what: string, condition: () => boolean, deadline = 5000): Promise<void> {
  assertEquals(await poll(condition, deadline), true, `${what} within ${deadline} ms`);
}
