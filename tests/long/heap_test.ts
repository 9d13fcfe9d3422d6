/** The heap over ten million packets: the data path allocates nothing per packet. */
import { assert, assertEquals } from "@std/assert";
import { spawn } from "node:child_process";
import process from "node:process";

/** Packets of each run. */
const PACKETS = 10_000_000;
/** Bytes that may be allocated over all of them: less than a word per batch of 32. */
const ALLOWED = PACKETS / 32 * 8;

/** What a run of heap_watch.ts says. */
interface Watch {
  readonly sent: number;
  readonly ended: number;
  /** Bytes that were allocated during the run, garbage included. */
  readonly allocated: number;
  readonly unaccounted: number;
}

async function watch(path: string): Promise<Watch> {
  const script = new URL("./heap_watch.ts", import.meta.url).pathname;
  // A young generation larger than what may be allocated: no collection can hide anything.
  const flags = "--v8-flags=--expose-gc,--min-semi-space-size=64,--max-semi-space-size=64";
  const child = spawn(process.execPath, ["run", "-A", "--no-check", flags, script, path, String(PACKETS)]);
  let out = "", err = "";
  child.stdout.on("data", (d) => out += d);
  child.stderr.on("data", (d) => err += d);
  const timer = setTimeout(() => child.kill("SIGKILL"), 120_000);
  const code = await new Promise<number | null>((resolve) => child.on("close", resolve));
  clearTimeout(timer);
  assertEquals(code, 0, err);
  return JSON.parse(out) as Watch;
}

for (const path of ["transmit", "homed", "loopback", "epair", "forward"]) {
  Deno.test(`${path}: ten million packets allocate nothing per packet`, async () => {
    const { sent, ended, allocated, unaccounted } = await watch(path);
    assert(sent >= PACKETS, `${sent} packets`);
    assertEquals([ended, unaccounted], [sent, 0]);
    assert(allocated < ALLOWED, `${allocated} bytes for ${sent} packets: ${allocated / sent} per packet`);
    console.log(`${path}: ${allocated} bytes of heap for ${sent} packets`);
  });
}
