/**
 * A network namespace of Linux as the peer of a softc kernel: made, used and removed by each test.
 *
 * @module
 */
import { assertEquals } from "@std/assert";
import { PcapngWriter } from "../../drivers/pcap/writer.ts";
import {
  boot,
  type BootOptions,
  ifCloneCreate,
  type Ifnet,
  type Kernel,
  type ShutdownReport,
} from "../../mod.ts";
import { assertNoLeaks, poll } from "../helpers/leaks.ts";

/** What came of a command. */
export interface Output {
  readonly code: number;
  /** What it said, on both streams. */
  readonly text: string;
}

/** Runs a command to its end, or to a deadline. */
export async function run(command: readonly string[], stdin?: string, deadline = 20_000): Promise<Output> {
  const child = new Deno.Command(command[0]!, {
    args: command.slice(1),
    stdin: stdin === undefined ? "null" : "piped",
    stdout: "piped",
    stderr: "piped",
    signal: AbortSignal.timeout(deadline),
    env: { LC_ALL: "C" },
  }).spawn();
  if (stdin !== undefined) {
    const w = child.stdin.getWriter();
    await w.write(new TextEncoder().encode(stdin));
    await w.close();
  }
  const { code, stdout, stderr } = await child.output();
  const decoder = new TextDecoder();
  return { code, text: decoder.decode(stdout) + decoder.decode(stderr) };
}

/** Whether a command succeeds. */
export function runs(command: readonly string[]): boolean {
  try {
    return new Deno.Command(command[0]!, { args: command.slice(1), stdout: "null", stderr: "null" })
      .outputSync()
      .success;
  } catch {
    return false;
  }
}

/** Why a test against Linux cannot run here; `undefined` when it can. */
export function missing(...tools: (readonly string[])[]): string | undefined {
  if (Deno.build.os !== "linux" || Deno.build.arch !== "x86_64") return "it needs Linux on x86_64";
  if (Deno.uid() !== 0) return "it needs root";
  try {
    Deno.statSync("/dev/net/tun");
  } catch {
    return "it needs /dev/net/tun";
  }
  for (const tool of [["ip", "-V"], ["tshark", "--version"], ...tools]) {
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
  const writer = new PcapngWriter("softc test");
  let frames = 0;
  await ip("netns", "add", netns);
  try {
    await assertNoLeaks(async (watch) => {
      const faults: string[] = [];
      const kernel = watch(await boot({ ...options, onFault: (e) => faults.push(e.message) }));
      try {
        await kernel.modules.load("softc:tap");
        const [tap] = await ifCloneCreate(kernel.vnet0, "tap", { options: { device: "tap0", netns } });
        const capture = (i: Ifnet): void => {
          const number = writer.addInterface({ name: i.name });
          i.tap({
            onPacket(p) {
              frames++;
              writer.frame({
                interface: number,
                at: BigInt(Date.now()) * 1_000_000n,
                bytes: p.bytes,
                direction: p.direction,
                originalLength: p.length,
              });
            },
          });
        };
        capture(tap);
        await tap.up();
        await ip("-n", netns, "link", "set", "lo", "up");
        const attempt = (...command: string[]): Promise<Output> =>
          run(["ip", "netns", "exec", netns, ...command]);
        await body({
          kernel,
          tap,
          netns,
          capture,
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
    if (frames > 0) await judged(writer);
  } finally {
    await run(["ip", "netns", "del", netns]);
  }
}

/** tshark finds no malformed frame and no bad checksum in what was captured. */
async function judged(writer: PcapngWriter): Promise<void> {
  const path = await Deno.makeTempFile({ suffix: ".pcapng" });
  try {
    await Deno.writeFile(path, writer.take());
    const bad =
      "_ws.malformed || ip.checksum.status == 0 || udp.checksum.status == 0 || tcp.checksum.status == 0 " +
      "|| icmp.checksum.status == 0 || icmpv6.checksum.status == 0 || igmp.checksum.status == 0";
    const checks = ["ip", "udp", "tcp"].flatMap((p) => ["-o", `${p}.check_checksum:TRUE`]);
    const { code, text } = await run(["tshark", "-r", path, ...checks, "-Y", bad]);
    assertEquals(code, 0, text);
    const complaints = text.split("\n").filter((line) => line !== "" && !/^Running as user/.test(line));
    assertEquals(complaints, []);
  } finally {
    await Deno.remove(path);
  }
}

/** Waits until the condition holds; fails the test when it does not within the deadline. */
export async function until(what: string, condition: () => boolean, deadline = 5000): Promise<void> {
  assertEquals(await poll(condition, deadline), true, `${what} within ${deadline} ms`);
}
