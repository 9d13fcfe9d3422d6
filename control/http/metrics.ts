/** Metrics in the Prometheus text format, 0.0.4. @module */
import { DROP_TEXT, type IfCounter, type Ledger } from "../../mod.ts";
import type { System } from "../system.ts";
import type { Streams } from "./live.ts";

const IF_COUNTERS: Readonly<Record<IfCounter, readonly [name: string, help: string]>> = {
  ipackets: ["softc_if_receive_packets_total", "Packets received."],
  ibytes: ["softc_if_receive_bytes_total", "Bytes received."],
  opackets: ["softc_if_transmit_packets_total", "Packets sent."],
  obytes: ["softc_if_transmit_bytes_total", "Bytes sent."],
  iqdrops: ["softc_if_receive_drops_total", "Packets dropped on the way in."],
  oqdrops: ["softc_if_transmit_drops_total", "Packets dropped on the way out."],
  ierrors: ["softc_if_receive_errors_total", "Errors of receiving."],
  oerrors: ["softc_if_transmit_errors_total", "Errors of sending."],
};

/** All metrics as text. */
export function metrics(system: System, ledger: Ledger, streams: Streams): string {
  const { kernel } = system;
  const out: string[] = [];
  const family = (
    name: string,
    type: "counter" | "gauge",
    help: string,
    rows: [labels: Labels, n: number][],
  ): void => {
    out.push(`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`);
    for (const [labels, n] of rows) out.push(`${name}${text(labels)} ${n}`);
  };
  const rows = (o: Readonly<Record<string, number>>, label: string): [Labels, number][] =>
    Object.entries(o).map(([k, n]) => [{ [label]: k }, n]);
  const ifnets = kernel.ifnets.filter((i) => i.state !== "freed").map((i) => i.toJSON());

  for (const [key, [name, help]] of Object.entries(IF_COUNTERS)) {
    family(
      name,
      "counter",
      help,
      ifnets.map((i) => [
        { interface: i.name, vnet: i.vnet, driver: i.driver, handle: i.handle },
        i.counters[key as IfCounter],
      ]),
    );
  }
  family(
    "softc_if_up",
    "gauge",
    "Whether the interface is UP.",
    ifnets.map((i) => [
      { interface: i.name, vnet: i.vnet, handle: i.handle },
      i.flags.includes("UP") ? 1 : 0,
    ]),
  );
  family(
    "softc_if_queued_packets",
    "gauge",
    "Packets that wait in the interface's output queues.",
    ifnets.map((i) => [{ interface: i.name, vnet: i.vnet, handle: i.handle }, i.queued]),
  );
  family("softc_packets_born_total", "counter", "Lives of packets begun.", rows(ledger.born, "how"));
  family("softc_packets_ended_total", "counter", "Lives of packets ended well.", rows(ledger.ended, "how"));
  const dropped = Object.fromEntries(
    Object.keys(DROP_TEXT).map((r) => [r, ledger.dropped[r as keyof typeof DROP_TEXT] ?? 0]),
  );
  family("softc_packets_dropped_total", "counter", "Packets dropped, by reason.", rows(dropped, "reason"));
  family("softc_packets_unaccounted", "gauge", "Packets that the books miss: 0, or something is wrong.", [
    [{}, ledger.unaccounted],
  ]);
  family(
    "softc_mbufs_live",
    "gauge",
    "Lives under way, by owner.",
    ledger.live.map((l) => [{ owner: l.owner }, l.lives]),
  );
  family("softc_mbufs_missing_total", "counter", "Packets that could not begin: no mbuf.", [[
    {},
    ledger.nobufs,
  ]]);
  family(
    "softc_cpu_packets_total",
    "counter",
    "Packets handled, by CPU.",
    ledger.perCpu.map((n, cpu) => [{ cpu: String(cpu) }, n]),
  );
  family("softc_epoch_grace_periods_total", "counter", "Grace periods.", [[{}, kernel.gracePeriods]]);
  family("softc_epoch_callbacks", "gauge", "Epoch callbacks that have not run.", [
    [{}, kernel.pendingCallbacks],
  ]);
  family("softc_epoch_holders", "gauge", "Sections, references and waits that something waits for.", [
    [{}, kernel.blame().length],
  ]);
  family("softc_vnets", "gauge", "Vnets.", [[{}, kernel.vnets.length]]);
  family("softc_modules", "gauge", "Modules.", [[{}, kernel.modules.list().length]]);
  family("softc_api_streams", "gauge", "Live streams and downloads that are open.", [[{}, streams.size]]);
  family("softc_api_captures", "gauge", "Captures that are kept.", [[{}, system.captures.list().length]]);
  return out.join("\n") + "\n";
}

type Labels = Readonly<Record<string, string>>;

function text(labels: Labels): string {
  const entries = Object.entries(labels);
  if (entries.length === 0) return "";
  const escape = (v: string): string => v.replace(/\\/g, "\\\\").replace(/"/g, '\\"').replace(/\n/g, "\\n");
  return `{${entries.map(([k, v]) => `${k}="${escape(v)}"`).join(",")}}`;
}
