/**
 * Load: traffic on CPU 1, the API on CPU 0, clients in a process of their own: live streams and requests at a
 * steady rate. Prints one line: how long answers took, and what the data path lost, paired on and off.
 *
 * deno run -A tests/control/load.ts [--streams N] [--rate N] [--seconds N]
 *
 * @module
 */
import { boot } from "../../mod.ts";
import { serve } from "../../control/http/serve.ts";

const option = (name: string, fallback: number): number => {
  const at = Deno.args.indexOf(`--${name}`);
  return at < 0 ? fallback : Number(Deno.args[at + 1]);
};
const streams = option("streams", 200);
const rate = option("rate", 1000);
const seconds = option("seconds", 3);

if (Deno.args[0] === "client") await client(Deno.args[1]!, Deno.args[2]!);
else await server();

async function server(): Promise<void> {
  const kernel = await boot({ cpus: 2 });
  const api = await serve(kernel, { limits: { streams: 1000, requestsPerSecond: 100_000 } });
  await api.apply({
    modules: [],
    vnets: { a: { discard: false }, b: { discard: true } },
    interfaces: [],
    links: [{ name: "w", cloner: "epair", ends: [{ vnet: "a", up: true }, { vnet: "b", up: true }] }],
    traffic: [{ name: "t", vnet: "a", ifnet: "wa", bytes: 64, cpus: [1] }],
  });
  /** Packets per second over a time. */
  const pps = async (ms: number): Promise<number> => {
    const count = (): number => kernel.ifnets.find((i) => i.name === "wa")!.counters.opackets;
    const [from, at] = [count(), performance.now()];
    await new Promise((resolve) => setTimeout(resolve, ms));
    return (count() - from) / (performance.now() - at) * 1000;
  };
  const off: number[] = [], on: number[] = [], reports: { p50: number; p99: number; requests: number }[] = [];
  for (let pair = 0; pair < 3; pair++) {
    off.push(await pps(seconds * 1000));
    const child = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", import.meta.url, "client", api.url, api.token, ...Deno.args],
      stdout: "piped",
      stderr: "inherit",
    }).spawn();
    const lines = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
    await lines.read(); // all streams are open
    on.push(await pps(seconds * 1000));
    reports.push(JSON.parse((await lines.read()).value!));
    await child.status;
    await lines.cancel();
  }
  const median = (x: number[]): number => x.sort((a, b) => a - b)[x.length >> 1]!;
  console.log(JSON.stringify({
    streams,
    rate,
    reports,
    mppsOff: +(median(off) / 1e6).toFixed(2),
    mppsOn: +(median(on) / 1e6).toFixed(2),
    ratio: +(median(on) / median(off)).toFixed(3),
  }));
  await api.close();
  const report = await kernel.shutdown();
  if (report.unaccounted !== 0 || report.leaks.length > 0) throw new Error(JSON.stringify(report));
}

async function client(url: string, token: string): Promise<void> {
  const headers = { authorization: `Bearer ${token}` };
  const leave = new AbortController();
  await Promise.all(Array.from({ length: streams }, async () => {
    const r = await fetch(`${url}/api/live`, { headers, signal: leave.signal });
    const reader = r.body!.getReader();
    await reader.read();
    void (async () => {
      try {
        while (!(await reader.read()).done);
      } catch { /* left */ }
    })();
  }));
  console.log("open");
  const took: number[] = [];
  const pending: Promise<void>[] = [];
  const start = performance.now();
  for (let sent = 0; performance.now() - start < seconds * 1000;) {
    for (const due = (performance.now() - start) / 1000 * rate; sent < due; sent++) {
      // From the moment that it was due: what waits in a queue counts.
      const at = start + sent / rate * 1000;
      pending.push(
        fetch(`${url}/api/if`, { headers }).then((r) => r.text()).then(() =>
          void took.push(performance.now() - at)
        ),
      );
    }
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  await Promise.all(pending);
  took.sort((a, b) => a - b);
  const at = (q: number): number => +took[Math.floor(took.length * q)]!.toFixed(2);
  console.log(JSON.stringify({ requests: took.length, p50: at(0.5), p99: at(0.99) }));
  leave.abort();
  Deno.exit(0);
}
