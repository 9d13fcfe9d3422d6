/** `softc if`: interfaces. @module */
import type { Command } from "commander";
import { type Blame, blameTree, type IfJSON, SoftcError } from "../../mod.ts";
import { type Commands, count, table } from "./command.ts";

type Full = IfJSON & {
  readonly driverCounters: Record<string, number>;
  readonly late: readonly number[];
  readonly why: Blame[];
};

interface PulledJSON {
  readonly name: string;
  readonly what: string;
  readonly replug: boolean;
}

const at = (name: string): string => `/api/if/${encodeURIComponent(name)}`;

const list = (all: readonly IfJSON[]): string =>
  table([
    ["NAME", "HANDLE", "VNET", "DRIVER", "STATE", "FLAGS", "MTU", "IN", "OUT", "DROPS"],
    ...all.map((i) => [
      i.name,
      i.handle,
      i.vnet,
      i.driver,
      i.state,
      i.flags.join(","),
      i.mtu,
      i.counters.ipackets,
      i.counters.opackets,
      i.counters.iqdrops + i.counters.oqdrops,
    ]),
  ]);

function show(i: Full): string {
  const rows: [string, string][] = [
    ["state", i.state],
    ["vnet", i.home === i.vnet ? i.vnet : `${i.vnet}, lent by ${i.home}`],
    ["driver", `${i.driver} on ${i.queues === 0 ? "every CPU" : `CPU ${i.cpu}, ${i.queues} queues`}`],
    ["type", `${i.type} ${i.mac}`.trim()],
    ["flags", i.flags.join(" ") || "none"],
    ["mtu", String(i.mtu)],
    ["link", i.link],
    ...i.queues === 0 ? [] : [["queued", count(i.queued)] as [string, string]],
    ...Object.entries({ ...i.counters, ...i.driverCounters }).filter(([, n]) => n !== 0)
      .map(([k, n]): [string, string] => [k, count(n)]),
    ...i.late.map((
      k,
    ): [string, string] => ["late", `CPU ${k} did not answer: the driver's counters are old`]),
  ];
  return `${i.name} ${i.handle}\n${rows.map(([k, v]) => `  ${k.padEnd(10)} ${v}\n`).join("")}`;
}

const DONE = (what: string) => (): string => what + "\n";

/** Adds the commands. */
export function addIf(cli: Commands, program: Command): void {
  const c = program.command("if").description("interfaces");
  cli.add(
    c,
    "list",
    "all interfaces",
    "if list --vnet a",
    [["--vnet <name>", "those of one vnet"]],
    async (x, _, o) => {
      const query = o.vnet === undefined ? "" : `?vnet=${encodeURIComponent(String(o.vnet))}`;
      const all = await x.client().call<IfJSON[]>("GET", `/api/if${query}`);
      x.print(all, () => list(all));
    },
  );
  cli.add(
    c,
    "show <name>",
    "one interface; NAME, VNET:NAME or HANDLE",
    "if show epair0a --why",
    [["--why", "who holds it or what it waits for, since when, and what to do"]],
    async (x, [name], o) => {
      const i = await x.client().call<Full>("GET", at(name!));
      x.print(
        o.why === true ? i.why : i,
        () => o.why === true ? blameTree(`${i.name} ${i.handle} ${i.state}`, i.why) : show(i),
      );
    },
  );
  cli.add(
    c,
    "create <cloner>",
    "make what a cloner makes",
    "if create epair --vnet a --name ab --up",
    [
      ["--vnet <name>", "vnet that it is made in", "vnet0"],
      ["--name <name>", "its name"],
      ["--cpu <n>", "its home CPU"],
      ["--options <json>", "the driver's options"],
      ["--up", "bring it up"],
    ],
    async (x, [cloner], o) => {
      const made = await x.client().call<IfJSON[]>("POST", "/api/if", {
        cloner,
        vnet: o.vnet,
        name: o.name,
        up: o.up === true,
        ...(o.cpu === undefined ? {} : { cpu: whole("--cpu", o.cpu) }),
        ...(o.options === undefined ? {} : { options: json("--options", o.options) }),
      });
      x.print(made, () => list(made));
    },
  );
  cli.add(
    c,
    "set <name>",
    "change options",
    "if set ab --mtu 1400 --name wan0",
    [
      ["--mtu <bytes>", "bytes of payload"],
      ["--name <name>", "another name"],
      ["--promisc <on|off>", "take packets for others too"],
      ["--allmulti <on|off>", "take all multicast"],
      ["--dispatch <how>", "where received packets are processed: direct, flow or a CPU"],
    ],
    async (x, [name], o) => {
      const change = {
        ...(o.mtu === undefined ? {} : { mtu: whole("--mtu", o.mtu) }),
        ...(o.name === undefined ? {} : { name: o.name }),
        ...(o.promisc === undefined ? {} : { promisc: onOff("--promisc", o.promisc) }),
        ...(o.allmulti === undefined ? {} : { allmulti: onOff("--allmulti", o.allmulti) }),
        ...(o.dispatch === undefined
          ? {}
          : { dispatch: /^\d+$/.test(String(o.dispatch)) ? Number(o.dispatch) : o.dispatch }),
      };
      const i = await x.client().call<IfJSON>("PATCH", at(name!), change);
      x.print(i, () => list([i]));
    },
  );
  for (const verb of ["up", "down"] as const) {
    cli.add(c, `${verb} <name>`, `bring it ${verb}`, `if ${verb} lo0`, [], async (x, [name]) => {
      const i = await x.client().call<IfJSON>("POST", `${at(name!)}/${verb}`);
      x.print(i, () => list([i]));
    });
  }
  cli.add(
    c,
    "move <name> <vnet>",
    "move it to another vnet (vmove)",
    "if move abb b",
    [["--name <name>", "its name there"]],
    async (x, [name, vnet], o) => {
      const r = await x.client().call<
        { ifnet: IfJSON; blackoutNs: number; flushed: number; dropped: number }
      >(
        "POST",
        `${at(name!)}/vmove`,
        { vnet, ...(o.name === undefined ? {} : { name: o.name }) },
      );
      x.print(
        r,
        () =>
          `${r.ifnet.vnet}:${r.ifnet.name} ${r.ifnet.handle}: blackout ${
            (r.blackoutNs / 1000).toFixed(1)
          } us, flushed ${r.flushed}, dropped ${r.dropped}\n`,
      );
    },
  );
  cli.add(
    c,
    "destroy <name>",
    "destroy all that its create made",
    "if destroy aba",
    [],
    async (x, [name]) => {
      await x.client().call("DELETE", at(name!));
      x.print({ destroyed: name }, DONE(`destroyed ${name}`));
    },
  );
  cli.add(
    c,
    "unplug <name>",
    "pull it out, with all that its create made; cannot be refused",
    "if unplug wirea",
    [],
    async (x, [name]) => {
      const p = await x.client().call<PulledJSON>("POST", `${at(name!)}/unplug`);
      x.print(
        p,
        () => `unplugged ${p.name}: ${p.what}${p.replug ? "" : "; who plugged it in must bring it back"}`,
      );
    },
  );
  cli.add(c, "unplugged", "what was pulled out", "if unplugged", [], async (x) => {
    const all = await x.client().call<PulledJSON[]>("GET", "/api/unplugged");
    x.print(
      all,
      () => table([["NAME", "REPLUG", "WHAT"], ...all.map((p) => [p.name, p.replug ? "yes" : "no", p.what])]),
    );
  });
  cli.add(
    c,
    "replug <name>",
    "plug back what was pulled out: as it was, its traffic too",
    "if replug left:wire",
    [],
    async (x, [name]) => {
      const made = await x.client().call<IfJSON[]>(
        "POST",
        `/api/unplugged/${encodeURIComponent(name!)}/replug`,
      );
      x.print(made, () => list(made));
    },
  );
  cli.add(c, "detach <name>", "detach it; cannot be refused", "if detach aba", [], async (x, [name]) => {
    await x.client().call("POST", `${at(name!)}/detach`);
    x.print({ detached: name }, DONE(`detached ${name}`));
  });
}

/** A whole number of the command line. */
export function whole(flag: string, text: unknown): number {
  if (/^\d{1,9}$/.test(String(text))) return Number(text);
  throw new SoftcError("SOFTC_API_INPUT", `Cannot take ${flag} ${String(text)}`, {
    state: String(text),
    wanted: "a whole number",
  });
}

function onOff(flag: string, text: unknown): boolean {
  if (text === "on" || text === "off") return text === "on";
  throw new SoftcError("SOFTC_API_INPUT", `Cannot take ${flag} ${String(text)}`, {
    state: String(text),
    wanted: "on or off",
  });
}

/** A JSON value of the command line. */
export function json(flag: string, text: unknown): unknown {
  try {
    return JSON.parse(String(text));
  } catch (e) {
    throw new SoftcError("SOFTC_API_INPUT", `Cannot take ${flag}: ${(e as Error).message}`);
  }
}
