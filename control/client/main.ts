/** The dashboard: the live stream in, calls out. @module */
/// <reference lib="dom" />
import { call, Refused, signIn } from "./api.ts";
import { Chart, short } from "./chart.ts";
import { byId, el, refill } from "./dom.ts";
import { ledgerRows } from "./ledger.ts";
import { type Ifnet, type Module, type Rate, topology, type Vnet } from "./topology.ts";

interface Sample {
  readonly at: number;
  readonly gracePeriods: number;
  readonly blame: { what: string; holder: string; age?: number; fix: string }[];
  readonly ifnets: { handle: string; ipackets: number; opackets: number; iqdrops: number; oqdrops: number }[];
}

interface KernelEvent {
  readonly seq: number;
  readonly type: string;
  readonly vnet?: string;
  readonly name: string;
  readonly detail?: string;
}

/** Lines that the log keeps. */
const LOG = 200;

let ifnets: Ifnet[] = [];
let meaning: Record<string, string> = {};
let before: Sample | undefined;
const rates = new Map<string, Rate>();
const packets = new Chart(byId("rates-chart"));
const drops = new Chart(byId("drops-chart"));
const grace = new Chart(byId("epoch-chart"));

/** Does what a button says; tells what was refused, why, and what to do. */
async function act(what: string, fn: () => Promise<unknown>): Promise<void> {
  byId("alert").textContent = "";
  try {
    await fn();
    byId("status").textContent = `${what}: done`;
  } catch (e) {
    const text = e instanceof Refused
      ? `${e.problem.detail}. ${e.problem.code}. ${e.problem.fix}`
      : String(e);
    byId("alert").textContent = `${what}: ${text}`;
  }
  refresh();
}

async function load(): Promise<void> {
  const [all, vnets, modules] = await Promise.all([
    call<Ifnet[]>("GET", "/api/if"),
    call<Vnet[]>("GET", "/api/vnet"),
    call<Module[]>("GET", "/api/module"),
  ]);
  ifnets = all.filter((i) => i.state !== "freed" && i.state !== "dead");
  refill(byId("vnets"), ...topology(vnets, ifnets, rates, act));
  refill(
    byId("module-list"),
    ...modules.map((m) =>
      el(
        "li",
        {},
        `${m.name} (${m.state}; ${m.instances.length} in use)`,
        el("button", {
          type: "button",
          "data-key": `unload ${m.name}`,
          "aria-label": `Unload module ${m.name}`,
          onclick: () =>
            void act(`unload ${m.name}`, () =>
              call("DELETE", `/api/module/${encodeURIComponent(m.name)}?mode=drain`)),
        }, "Unload"),
      )
    ),
  );
}

async function loadLedger(): Promise<void> {
  const { rows, sum, closes } = ledgerRows(await call("GET", "/api/ledger"), meaning);
  byId("ledger-rows").replaceChildren(...rows);
  byId("ledger-sum").textContent = sum;
  byId("ledger-sum").classList.toggle("wrong", !closes);
}

let pending = false;
/** Loads again soon: many events make one load. */
function refresh(): void {
  if (pending) return;
  pending = true;
  setTimeout(() => {
    pending = false;
    load().catch(() => {/* the stream tells that the server is gone */});
  }, 50);
}

function onSample(s: Sample): void {
  if (before !== undefined) {
    const seconds = (s.at - before.at) / 1000;
    const old = new Map(before.ifnets.map((i) => [i.handle, i]));
    const lines = new Map<string, number>();
    const lost = new Map<string, number>();
    for (const i of s.ifnets) {
      const o = old.get(i.handle);
      const known = ifnets.find((x) => x.handle === i.handle);
      if (o === undefined || known === undefined) continue;
      const rate = { in: (i.ipackets - o.ipackets) / seconds, out: (i.opackets - o.opackets) / seconds };
      rates.set(i.handle, rate);
      const name = `${known.vnet}:${known.name}`;
      lines.set(name, rate.in + rate.out);
      lost.set(name, (i.iqdrops + i.oqdrops - o.iqdrops - o.oqdrops) / seconds);
      const cell = document.querySelector(`[data-rate="${CSS.escape(i.handle)}"]`);
      if (cell !== null) cell.textContent = `in ${short(rate.in)}/s out ${short(rate.out)}/s`;
    }
    packets.add(s.at, lines);
    drops.add(s.at, lost);
    grace.add(
      s.at,
      new Map([["grace periods", (s.gracePeriods - before.gracePeriods) / seconds], [
        "holders",
        s.blame.length,
      ]]),
    );
  }
  before = s;
  const held = s.blame.map((b) =>
    el("li", {}, `${b.what}: ${b.holder}${b.age === undefined ? "" : `, ${Math.round(b.age)} ms`}; ${b.fix}`)
  );
  byId("blame").replaceChildren(
    ...held.length > 0 ? held : [el("li", {}, "No open section, no pending callback.")],
  );
  loadLedger().catch(() => {/* as above */});
}

function onEvent(e: KernelEvent): void {
  const where = e.vnet === undefined ? e.name : `${e.vnet}:${e.name}`;
  const log = byId("events");
  log.prepend(el("li", {}, `#${e.seq} ${e.type} ${where}${e.detail === undefined ? "" : ` (${e.detail})`}`));
  while (log.childElementCount > LOG) log.lastElementChild!.remove();
  refresh();
}

function connect(): void {
  const stream = new EventSource("/api/live");
  stream.onopen = () => byId("status").textContent = "live";
  stream.onerror = () => byId("status").textContent = "disconnected; trying again";
  stream.addEventListener("snapshot", () => refresh());
  stream.addEventListener(
    "event",
    (m) => onEvent(JSON.parse((m as MessageEvent<string>).data) as KernelEvent),
  );
  stream.addEventListener("sample", (m) => onSample(JSON.parse((m as MessageEvent<string>).data) as Sample));
}

try {
  await signIn();
  meaning = await call("GET", "/api/drop");
  await Promise.all([load(), loadLedger()]);
  connect();
} catch (e) {
  byId("status").textContent = "not signed in";
  byId("alert").textContent = e instanceof Refused
    ? `${e.problem.detail}. Open the address that softc start printed.`
    : String(e);
}
