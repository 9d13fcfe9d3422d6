/** `softc vnet`, `module` and `traffic`. @module */
import type { Command } from "commander";
import { type Commands, EXIT, table } from "./command.ts";
import { whole } from "./if.ts";

interface VnetJSON {
  readonly name: string;
  readonly parent?: string;
  readonly state: string;
  readonly ifnets: string[];
}

interface ModuleJSON {
  readonly name: string;
  readonly state: string;
  readonly url: string;
  readonly drivers: string[];
  readonly instances: string[];
}

interface TrafficJSON {
  readonly name: string;
  readonly vnet: string;
  readonly ifnet: string;
  readonly bytes: number;
  readonly rate?: number;
}

const path = (noun: string, name: string): string => `/api/${noun}/${encodeURIComponent(name)}`;

/** Adds `vnet`. */
export function addVnet(cli: Commands, program: Command): void {
  const c = program.command("vnet").description("virtual networks");
  const text = (all: VnetJSON[]): string =>
    table([
      ["NAME", "PARENT", "STATE", "INTERFACES"],
      ...all.map((v) => [
        v.name,
        v.parent ?? "-",
        v.state,
        v.ifnets.join(" ") || "-",
      ]),
    ]);
  cli.add(c, "list", "all vnets", "vnet list --json", [], async (x) => {
    const all = await x.client().call<VnetJSON[]>("GET", "/api/vnet");
    x.print(all, () => text(all));
  });
  cli.add(c, "show <name>", "one vnet", "vnet show a", [], async (x, [name]) => {
    const v = await x.client().call<VnetJSON>("GET", path("vnet", name!));
    x.print(v, () => text([v]));
  });
  cli.add(
    c,
    "create <name>",
    "make a vnet",
    "vnet create a --discard",
    [["--parent <name>", "the vnet that it is made in"], [
      "--discard",
      "take and throw away every valid packet",
    ]],
    async (x, [name], o) => {
      const v = await x.client().call<VnetJSON>("POST", "/api/vnet", {
        name,
        discard: o.discard === true,
        ...(o.parent === undefined ? {} : { parent: o.parent }),
      });
      x.print(v, () => text([v]));
    },
  );
  cli.add(c, "destroy <name>", "destroy a vnet and what it owns", "vnet destroy a", [], async (x, [name]) => {
    await x.client().call("DELETE", path("vnet", name!));
    x.print({ destroyed: name }, () => `destroyed ${name}`);
  });
}

/** Adds `module`. */
export function addModule(cli: Commands, program: Command): void {
  const c = program.command("module").description("modules: drivers, loaded on every CPU");
  const text = (all: ModuleJSON[]): string =>
    table([
      ["NAME", "STATE", "DRIVERS", "INTERFACES", "URL"],
      ...all.map((m) => [
        m.name,
        m.state,
        m.drivers.join(" "),
        m.instances.length,
        m.url,
      ]),
    ]);
  cli.add(c, "list", "all modules", "module list", [], async (x) => {
    const all = await x.client().call<ModuleJSON[]>("GET", "/api/module");
    x.print(all, () => text(all));
  });
  cli.add(
    c,
    "load <module>",
    "load softc:NAME, a URL, a path or a package",
    "module load softc:epair",
    [["--host", "in a worker of its own, instead of on the kernel's CPUs"]],
    async (x, [module], o) => {
      const m = await x.client().call<ModuleJSON>("POST", "/api/module", { module, host: o.host === true });
      x.print(m, () => text([m]));
    },
  );
  cli.add(
    c,
    "unload <name>",
    "unload a module",
    "module unload epair --explain",
    [
      ["--mode <mode>", "refuse while in use, drain, or force: drain without asking", "refuse"],
      ["--explain", "only say what keeps it; exit code 1 when something does"],
    ],
    async (x, [name], o) => {
      const at = path("module", name!);
      if (o.explain === true) {
        const r = await x.client().call<{ blockers: string[] }>("GET", `${at}/explain`);
        x.print(r, () => tree(`module ${name}`, r.blockers));
        return r.blockers.length === 0 ? EXIT.ok : EXIT.failed;
      }
      await x.client().call("DELETE", `${at}?mode=${encodeURIComponent(String(o.mode))}`);
      x.print({ unloaded: name }, () => `unloaded ${name}`);
    },
  );
}

/** Adds `traffic`. */
export function addTraffic(cli: Commands, program: Command): void {
  const c = program.command("traffic").description("streams of packets at full rate");
  const text = (all: TrafficJSON[]): string =>
    table([
      ["NAME", "VNET", "INTERFACE", "BYTES", "RATE"],
      ...all.map((t) => [t.name, t.vnet, t.ifnet, t.bytes, t.rate ?? "full"]),
    ]);
  cli.add(c, "list", "streams that run", "traffic list", [], async (x) => {
    const all = await x.client().call<TrafficJSON[]>("GET", "/api/traffic");
    x.print(all, () => text(all));
  });
  cli.add(
    c,
    "start <name> <vnet> <ifnet>",
    "start a stream",
    "traffic start t a aba --bytes 64 --rate 1000",
    [
      ["--bytes <n>", "length of the frames", "64"],
      ["--count <n>", "packets per CPU; endless unless told"],
      ["--rate <n>", "packets per second and CPU; as many as go unless told"],
    ],
    async (x, [name, vnet, ifnet], o) => {
      const t = await x.client().call<TrafficJSON>("POST", "/api/traffic", {
        name,
        vnet,
        ifnet,
        bytes: whole("--bytes", o.bytes),
        ...(o.count === undefined ? {} : { count: whole("--count", o.count) }),
        ...(o.rate === undefined ? {} : { rate: whole("--rate", o.rate) }),
      });
      x.print(t, () => text([t]));
    },
  );
  cli.add(c, "stop <name>", "stop a stream", "traffic stop t", [], async (x, [name]) => {
    const done = await x.client().call<object[]>("DELETE", path("traffic", name!));
    x.print(done, () => done.map((d) => JSON.stringify(d)).join("\n"));
  });
}

function tree(title: string, lines: readonly string[]): string {
  if (lines.length === 0) return `${title}: nothing keeps it\n`;
  return [title, ...lines.map((l, i) => `${i === lines.length - 1 ? "└─" : "├─"} ${l}`)].join("\n") + "\n";
}
