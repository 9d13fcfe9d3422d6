import { assertEquals } from "@std/assert";
import { climbing } from "./floors.ts";
import { entries, files, shipped, source } from "./tree.ts";

Deno.test("imports go down only, from floor to floor", () => {
  assertEquals(climbing(shipped()), []);
});

Deno.test("an import that climbs is found on every floor", () => {
  const planted: [from: string, to: string][] = [
    ["core/error.ts", "./doors/arena.ts"],
    ["core/epoch/epoch.ts", "../cpu/cpu.ts"],
    ["core/net/detach.ts", "../device/scope.ts"],
    ["core/net/detach.ts", "../../vnet/vnet.ts"],
    ["core/lost.ts", "./error.ts"],
    ["core/cpu/cpu.ts", "npm:hono"],
    ["vnet/vnet.ts", "../kernel/boot.ts"],
    ["drivers/null.ts", "../core/net/ifnet.ts"],
    ["drivers/null.ts", "./loopback.ts"],
    ["drivers/pcap/mod.ts", "../epair.ts"],
    ["drivers/sys/mod.ts", "../../core/device/mod.ts"],
    ["kernel/boot.ts", "../drivers/loopback.ts"],
    ["kernel/boot.ts", "../mod.ts"],
    ["mod.ts", "./drivers/loopback.ts"],
    ["testing/explore.ts", "../control/api.ts"],
    ["control/api.ts", "../core/net/ifnet.ts"],
    ["control/api.ts", "@std/assert"],
  ];
  for (const [from, to] of planted) {
    assertEquals(climbing([source(from, `import type { X } from "${to}";`)]).length, 1, `${from} -> ${to}`);
  }
});

Deno.test("an import that goes down is allowed", () => {
  const fine: [from: string, to: string][] = [
    ["core/device/mod.ts", "../net/ifnet.ts"],
    ["core/net/detach.ts", "../error.ts"],
    ["core/cpu/port.ts", "node:worker_threads"],
    ["vnet/inet/arp.ts", "../vnet.ts"],
    ["vnet/vmove.ts", "../core/net/ifnet.ts"],
    ["drivers/pcap/mod.ts", "./reader.ts"],
    ["drivers/pcap/mod.ts", "../../core/device/mod.ts"],
    ["drivers/tap.ts", "./sys/mod.ts"],
    ["kernel/boot.ts", "../vnet/mod.ts"],
    ["mod.ts", "./kernel/boot.ts"],
    ["testing/explore.ts", "../core/doors/arena.ts"],
    ["control/api.ts", "hono/streaming"],
    ["control/api.ts", "../mod.ts"],
  ];
  for (const [from, to] of fine) {
    assertEquals(climbing([source(from, `import { x } from "${to}";`)]), []);
  }
});

Deno.test("the module graph of every entry but ./control and ./cli has no package in it", () => {
  const sources = new Map(shipped().map((s) => [s.path, s]));
  const bare: string[] = [];
  for (const [name, entry] of Object.entries(entries())) {
    if (name === "./control" || name === "./cli") continue;
    const seen = new Set<string>();
    const visit = (path: string): void => {
      if (seen.has(path)) return;
      seen.add(path);
      for (const { to } of sources.get(path)?.imports ?? []) {
        if (/\.tsx?$/.test(to) && !to.includes(":")) visit(to);
        else if (!to.startsWith("node:")) bare.push(`${name}: ${path} imports ${to}`);
      }
    };
    visit(entry);
  }
  assertEquals(bare, []);
});

Deno.test("examples import what the package exports, and their own folder", () => {
  const open = new Set(Object.values(entries()));
  const closed = files("examples/").filter((f) => /\.tsx?$/.test(f)).flatMap((path) =>
    source(path).imports
      .filter(({ to }) => to.endsWith(".ts") && !to.startsWith("examples/") && !open.has(to))
      .map(({ to, line }) => `${path}:${line} imports ${to}`)
  );
  assertEquals(closed, []);
});
