/** The metrics, as a parser of the format reads them. */
import { assert, assertEquals } from "@std/assert";
import parse from "parse-prometheus-text-format";
import { until } from "../core/kit.ts";
import { withApi } from "./helper.ts";

interface Family {
  readonly name: string;
  readonly help: string;
  readonly type: string;
  readonly metrics: readonly { readonly value: string; readonly labels?: Readonly<Record<string, string>> }[];
}

Deno.test("Prometheus can read the metrics: families with help and type, labels, and the system's numbers", () =>
  withApi({}, async ({ call, server: { system } }) => {
    await call("PUT", "/api/lab", {
      vnets: { a: {}, b: { discard: true } },
      links: [{ name: "w", netem: { rate: 10 }, ends: [{ vnet: "a" }, { vnet: "b" }] }],
      traffic: [{ name: "t", vnet: "a", ifnet: "wa", count: 600, rate: 100_000 }],
    });
    await until("the queue is full", () => system.ifnet("wa").queued === 512);
    const { body, headers } = await call("GET", "/metrics");
    assertEquals(headers.get("content-type"), "text/plain; version=0.0.4; charset=utf-8");
    const families = (parse as (text: string) => Family[])(body);
    const byName = new Map(families.map((f) => [f.name, f]));
    assertEquals(byName.size, families.length, "a family twice");
    for (const f of families) {
      assert(f.help.length > 5 && f.metrics.length > 0, f.name);
      assertEquals(f.name.endsWith("_total"), f.type === "COUNTER", f.name);
      const series = f.metrics.map((m) => JSON.stringify(m.labels ?? {}));
      assertEquals(new Set(series).size, series.length, `${f.name}: a series twice`);
      for (const m of f.metrics) assert(Number.isFinite(Number(m.value)), `${f.name} ${m.value}`);
    }
    const value = (name: string, labels: Record<string, string>): number => {
      const found = byName.get(name)!.metrics.filter((m) =>
        Object.entries(labels).every(([k, v]) => m.labels?.[k] === v)
      );
      assertEquals(found.length, 1, `${name} ${JSON.stringify(labels)}`);
      return Number(found[0]!.value);
    };
    assert(value("softc_if_queued_packets", { interface: "wa", vnet: "a" }) >= 448); // full, but for the eighth of ring.ts, 5
    assertEquals(value("softc_if_up", { interface: "wb" }), 1);
    assertEquals(value("softc_packets_born_total", { how: "stack" }), 600);
    assertEquals(value("softc_packets_unaccounted", {}), 0);
    assertEquals(value("softc_packets_dropped_total", { reason: "netem" }), 0);
    assertEquals(value("softc_vnets", {}), 3);
    assertEquals(value("softc_epoch_callbacks", {}), 0);
  }));
