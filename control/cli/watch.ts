/** `softc epoch`, `ledger` and `monitor`: looking at a running system. @module */
import type { Command } from "commander";
import {
  type Blame,
  blameTree,
  DROP_TEXT,
  type DropReason,
  type KernelEvent,
  type Ledger,
  type Snapshot,
} from "../../mod.ts";
import { type Commands, count, EXIT } from "./command.ts";
import { whole } from "./if.ts";

/** The books as people read them. */
export function ledgerText(l: Ledger): string {
  const rows: string[] = [];
  const section = (title: string, o: Readonly<Record<string, number>>): void => {
    for (const [k, n] of Object.entries(o)) {
      if (n > 0) rows.push(`  ${title.padEnd(8)} ${k.padEnd(11)} ${count(n).padStart(16)}`);
    }
  };
  section("born", l.born);
  section("ended", l.ended);
  for (const [reason, n] of Object.entries(l.dropped)) {
    rows.push(`  dropped  ${reason.padEnd(11)} ${count(n).padStart(16)}  ${DROP_TEXT[reason as DropReason]}`);
  }
  for (const { owner, lives } of l.live) {
    rows.push(`  live     ${owner.padEnd(11)} ${count(lives).padStart(16)}`);
  }
  const dropped = Object.values(l.dropped).reduce((x, y) => x + y, 0);
  const live = l.live.reduce((n, x) => n + x.lives, 0);
  return [
    ...rows,
    `sent ${count(l.sent)} = delivered ${count(l.delivered)} + dropped ${count(dropped)} + under way ${
      count(live)
    }, unaccounted ${l.unaccounted}`,
  ].join("\n") + "\n";
}

/** Adds the commands. */
export function addWatch(cli: Commands, program: Command): void {
  cli.add(program, "epoch", "grace periods, and who holds what since when", "epoch", [], async (x) => {
    const e = await x.client().call<{ gracePeriods: number; callbacks: number; blame: Blame[] }>(
      "GET",
      "/api/epoch",
    );
    x.print(
      e,
      () =>
        blameTree(`${count(e.gracePeriods)} grace periods, ${count(e.callbacks)} callbacks pending`, e.blame),
    );
  });
  cli.add(
    program,
    "ledger",
    "the books; exit code 1 when they do not close",
    "ledger --json",
    [],
    async (x) => {
      const l = await x.client().call<Ledger>("GET", "/api/ledger");
      x.print(l, () => ledgerText(l));
      return l.unaccounted === 0 ? EXIT.ok : EXIT.failed;
    },
  );
  cli.add(
    program,
    "monitor",
    "a snapshot, then every event as it happens; with --json one document a line",
    "monitor --count 5",
    [["--count <n>", "end after so many events"]],
    async (x, _, o) => {
      let left = o.count === undefined ? Infinity : whole("--count", o.count);
      const response = await x.client().open("GET", "/api/live");
      let text = "";
      for await (const chunk of response) {
        text += String(chunk);
        for (let end = text.indexOf("\n\n"); end >= 0; end = text.indexOf("\n\n")) {
          const message = text.slice(0, end).split("\n");
          text = text.slice(end + 2);
          if (message.includes("event: sample")) continue;
          const data = JSON.parse(message.find((l) => l.startsWith("data: "))!.slice(6)) as
            | Snapshot
            | KernelEvent;
          x.print(data, () => eventText(data));
          if (data.type !== "snapshot" && --left <= 0) {
            response.destroy();
            return;
          }
        }
      }
    },
  );
}

function eventText(e: Snapshot | KernelEvent): string {
  if (e.type === "snapshot") {
    const s = e.state as { vnets: object[]; ifnets: { vnet: string; name: string; state: string }[] };
    return [
      `#${e.seq} snapshot: ${s.vnets.length} vnets, ${s.ifnets.length} interfaces`,
      ...s.ifnets.map((i) => `  ${i.vnet}:${i.name} ${i.state}`),
    ].join("\n");
  }
  const { seq, type, vnet, name, detail } = e;
  return `#${seq} ${type} ${vnet === undefined ? "" : `${vnet}:`}${name}${
    detail === undefined ? "" : ` (${detail})`
  }`;
}
