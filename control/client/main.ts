/** The dashboard: the live stream in, calls out. @module */
/// <reference lib="dom" />
import { call, Refused, signIn } from "./api.ts";
import { Chart } from "./chart.ts";
import { byId, el, refill } from "./dom.ts";
import { ledgerRows } from "./ledger.ts";
import {
  type Act,
  type Blame,
  type Ifnet,
  type Link,
  type Model,
  nameOf,
  type Rate,
  type Sample,
  short,
} from "./model.ts";
import { captureRows, moduleRows } from "./panels.ts";
import { startTheme } from "./theme.ts";
import { Timeline } from "./timeline.ts";
import { drag, topology, tray, updateRates } from "./topology.ts";
import { drawWires } from "./wires.ts";

interface KernelEvent {
  readonly seq: number;
  readonly type: string;
  readonly vnet?: string;
  readonly name: string;
  readonly detail?: string;
}

/** Lines that the log keeps. */
const LOG = 200;
/** Milliseconds within which many events make one load. */
const SOON = 80;

let model: Model = { ifnets: [], vnets: [], modules: [], captures: [], pulled: [], links: [] };
let meaning: Record<string, string> = {};
let before: Sample | undefined;
let rates = new Map<string, Rate>();
const packets = new Chart(byId("rates-chart"));
const queues = new Chart(byId("queues-chart"));
const drops = new Chart(byId("drops-chart"));
const timeline = new Timeline(byId("timeline"));
const charts = [packets, queues, drops];

const act: Act = async (what, fn) => {
  byId("alert").textContent = "";
  try {
    await fn();
    byId("done").textContent = `${what}: done`;
  } catch (e) {
    byId("alert").textContent = `${what}: ${
      e instanceof Refused ? `${e.problem.detail} [${e.problem.code}]. Fix: ${e.problem.fix}` : String(e)
    }`;
  }
  refresh();
};

async function load(): Promise<void> {
  const [all, vnets, modules, captures, pulled, lab] = await Promise.all([
    call<Ifnet[]>("GET", "/api/if"),
    call<Model["vnets"]>("GET", "/api/vnet"),
    call<Model["modules"]>("GET", "/api/module"),
    call<Model["captures"]>("GET", "/api/capture"),
    call<Model["pulled"]>("GET", "/api/unplugged"),
    call<{ links: Link[] }>("GET", "/api/lab"),
  ]);
  if (drag.active) return refresh();
  const ifnets = all.filter((i) => i.state !== "freed" && i.state !== "dead");
  model = { ifnets, vnets, modules, captures, pulled, links: lab.links };
  refill(byId("vnets"), ...topology(model, rates, act));
  refill(byId("unplugged"), ...tray(model, act));
  byId("tray").hidden = pulled.length === 0;
  refill(byId("module-list"), ...moduleRows(model, act));
  refill(byId("capture-list"), ...captureRows(model, act));
  wires();
}

function wires(): void {
  drawWires(byId("wires"), byId("stage"), model.links);
}

async function loadLedger(): Promise<void> {
  const { rows, sum, unaccounted } = ledgerRows(await call("GET", "/api/ledger"), meaning);
  byId("ledger-rows").replaceChildren(...rows);
  byId("ledger-sum").textContent = sum;
  stat("unaccounted", short(unaccounted));
  byId("unaccounted").classList.toggle("wrong", unaccounted !== 0);
}

function stat(id: string, text: string): void {
  byId(id).textContent = text;
}

let pending = false;
/** Loads again soon: many events make one load. */
function refresh(): void {
  if (pending) return;
  pending = true;
  setTimeout(() => {
    pending = false;
    if (drag.active) refresh();
    else load().catch(() => {/* the stream tells that the server is gone */});
  }, SOON);
}

function onSample(s: Sample): void {
  if (before !== undefined) {
    const seconds = (s.at - before.at) / 1000;
    const old = new Map(before.ifnets.map((i) => [i.handle, i]));
    const known = new Map(model.ifnets.map((i) => [i.handle, nameOf(i)]));
    const lines = {
      packets: new Map<string, number>(),
      queues: new Map<string, number>(),
      drops: new Map<string, number>(),
    };
    rates = new Map();
    for (const i of s.ifnets) {
      const o = old.get(i.handle);
      const name = known.get(i.handle);
      if (o === undefined || name === undefined) continue;
      const r: Rate = {
        in: (i.ipackets - o.ipackets) / seconds,
        out: (i.opackets - o.opackets) / seconds,
        drops: (i.iqdrops + i.oqdrops - o.iqdrops - o.oqdrops) / seconds,
        queued: i.queued,
      };
      rates.set(i.handle, r);
      lines.packets.set(name, r.in + r.out);
      lines.queues.set(name, r.queued);
      lines.drops.set(name, r.drops);
    }
    updateRates(rates);
    packets.add(s.at, lines.packets);
    queues.add(s.at, lines.queues);
    drops.add(s.at, lines.drops);
    timeline.add(s, s.gracePeriods - before.gracePeriods);
    const sum = (of: (r: Rate) => number): string =>
      short([...rates.values()].reduce((n, r) => n + of(r), 0));
    stat("total-out", `${sum((r) => r.out)}/s`);
    stat("total-drops", `${sum((r) => r.drops)}/s`);
  }
  before = s;
  stat("grace-periods", short(s.gracePeriods));
  stat("callbacks", short(s.callbacks));
  byId("blame").replaceChildren(...s.blame.map(blameRow));
  if (model.captures.some((c) => c.running)) refresh();
  loadLedger().catch(() => {/* as above */});
}

function blameRow(b: Blame): HTMLElement {
  const age = b.age === undefined ? "" : `, ${(b.age / 1000).toFixed(1)} s`;
  return el("li", {}, el("strong", {}, `${b.what}: ${b.holder}`), `${age}. Fix: ${b.fix}`);
}

function onEvent(e: KernelEvent): void {
  const where = e.vnet === undefined ? e.name : nameOf({ vnet: e.vnet, name: e.name });
  const log = byId("events");
  log.prepend(
    el(
      "li",
      {},
      el("span", { class: "seq" }, `#${e.seq}`),
      el("span", { class: `type of-${e.type.replace(" ", "-")}` }, e.type),
      ` ${where}${e.detail === undefined ? "" : ` (${e.detail})`}`,
    ),
  );
  while (log.childElementCount > LOG) log.lastElementChild!.remove();
  refresh();
}

function connect(): void {
  const status = (text: string, live: boolean): void => {
    byId("status").textContent = text;
    byId("status").classList.toggle("live", live);
  };
  const stream = new EventSource("/api/live");
  stream.onopen = () => status("live", true);
  stream.onerror = () => status("disconnected; trying again", false);
  stream.addEventListener("snapshot", (m) => {
    const { seq } = JSON.parse((m as MessageEvent<string>).data) as { seq: number };
    onEvent({ seq, type: "snapshot", name: "all that happened before" });
  });
  stream.addEventListener(
    "event",
    (m) => onEvent(JSON.parse((m as MessageEvent<string>).data) as KernelEvent),
  );
  stream.addEventListener("sample", (m) => onSample(JSON.parse((m as MessageEvent<string>).data) as Sample));
}

startTheme(byId("theme"), () => charts.forEach((c) => c.draw()));
new ResizeObserver(wires).observe(byId("stage"));
try {
  await signIn();
  meaning = await call("GET", "/api/drop");
  const { cpus } = await call<{ cpus: number }>("GET", "/health");
  stat("cpus", String(cpus));
  await Promise.all([load(), loadLedger()]);
  connect();
} catch (e) {
  byId("status").textContent = "not signed in";
  byId("alert").textContent = e instanceof Refused
    ? `${e.problem.detail}. Open the address that softc start printed.`
    : String(e);
}
