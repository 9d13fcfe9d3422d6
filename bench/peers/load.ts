/**
 * A client of the API, in a process of its own: live streams, and requests at a steady rate. It is told `on` and
 * `off` by lines; answers `on` when all streams are open, and to `off` with how long the answers took.
 *
 * Arguments: URL, token, streams, requests per second.
 *
 * @module
 */
import process from "node:process";
import { createInterface } from "node:readline";

const [url, token, streams, rate] = process.argv.slice(2) as [string, string, string, string];
const headers = { authorization: `Bearer ${token}` };

let leave = new AbortController();
let took: number[] = [];
let begun = 0;
let sent = 0;
let timer: ReturnType<typeof setInterval> | undefined;

/** Opens a stream; resolves with its first message, and reads on. */
async function follow(): Promise<void> {
  const r = await fetch(`${url}/api/live`, { headers, signal: leave.signal });
  const reader = r.body!.getReader();
  await reader.read();
  void (async () => {
    try {
      while (!(await reader.read()).done);
    } catch { /* left */ }
  })();
}

/** Sends what is due; each is timed from when it was due, so that what waits in a queue counts. */
function tick(): void {
  const due = (performance.now() - begun) / 1000 * Number(rate);
  for (; sent < due; sent++) {
    const at = begun + sent / Number(rate) * 1000;
    void fetch(`${url}/api/if`, { headers, signal: leave.signal })
      .then((r) => r.text())
      .then(() => void took.push(performance.now() - at), () => {});
  }
}

async function on(): Promise<void> {
  leave = new AbortController();
  await Promise.all(Array.from({ length: Number(streams) }, follow));
  took = [];
  sent = 0;
  begun = performance.now();
  timer = setInterval(tick, 1);
  console.log("on");
}

function off(): void {
  clearInterval(timer);
  const seconds = (performance.now() - begun) / 1000;
  leave.abort();
  took.sort((a, b) => a - b);
  const at = (q: number): number => took[Math.floor(took.length * q)] ?? 0;
  console.log(JSON.stringify({ perSecond: took.length / seconds, p50: at(0.5), p99: at(0.99) }));
}

for await (const line of createInterface({ input: process.stdin })) {
  if (line === "on") await on();
  else off();
}
process.exit(); // connections that are kept alive would keep the process too
