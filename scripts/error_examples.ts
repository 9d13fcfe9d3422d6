/**
 * What the page of error codes says beside the table of core/error.ts: for each code its cause and the shortest
 * program that gets it. A test runs the programs (tests/docs/errors_test.ts).
 *
 * @module
 */
import type { Code } from "../core/error.ts";

/** Cause and failing example of one code. */
export interface ErrorExample {
  /** What brings it about, one sentence. */
  readonly cause: string;
  /** A driver, as what `defineDriver` takes; `driver` in the program is its URL. */
  readonly driver?: string;
  /** The failing program. */
  readonly run?: string;
  /** A program that fails against a served kernel: {@linkcode API_PRELUDE} stands in front of it too. */
  readonly api?: string;
  /** Command lines, of which the last fails: `softc` against a served kernel. */
  readonly shell?: string;
  /** Why there is no example. */
  readonly untried?: string;
}

/** What stands in front of every program. */
export const PRELUDE =
  `const kernel = await boot({ debug: true, hookDeadline: 300, onFault: (e) => console.error(e.message) });
const { vnet0 } = kernel;
await kernel.modules.load("softc:null");
await kernel.modules.load("softc:epair");
const [nic] = await ifCloneCreate(vnet0, "null");
await nic.up();
const send = (i) => i.vnet.section((s) => ifOutput(s, ifnetByHandle(s, i.handle), mAlloc(s, 1, 60)));`;

/** What stands in front of programs against the API. */
export const API_PRELUDE =
  `const server = await serveControl(kernel, { limits: { requestsPerSecond: 50, bodyBytes: 1000 } });
const call = async (path, init = {}, url = server.url) => {
  const own = { authorization: "Bearer " + server.token, "content-type": "application/json" };
  const answer = await fetch(url + path, { ...init, headers: { ...own, ...init.headers } });
  const said = await answer.json();
  if (!answer.ok) throw new Error(said.code);
  return said;
};`;

/** A driver's text: attach declares an interface; the given hooks replace or add. */
function driver(hooks: string, transmit = "(_sc, batch) => batch.freeAll()"): string {
  return `{
  name: "example",
  api: 1,
  cloner: "example",
  attach(dev) {
    dev.ifnet({ type: "ether" });
    return { dev };
  },
  transmit: ${transmit},${hooks === "" ? "" : `\n  ${hooks}`}
}`;
}

const LOAD = `await kernel.modules.load(driver);`;
const CREATE = `${LOAD}
const [i] = await ifCloneCreate(vnet0, "example");
await i.up();`;

const HOSTED = `await kernel.modules.load(driver, { host: { deadline: 200 } });
const [i] = await ifCloneCreate(vnet0, "example");
await i.up();`;

/** Ends its worker. */
const CRASH = `set() {
    setTimeout(() => {
      throw new Error("nobody catches this");
    });
    return new Promise(() => {});
  },`;

/** By code. */
export const ERROR_EXAMPLES: Readonly<Record<Code, ErrorExample>> = {
  SOFTC_BOOT_ARGUMENT: {
    cause: "An option of boot, or a kernel given to a function, is not what the signature says.",
    run: `await boot({ cpus: 17 });`,
  },
  SOFTC_BOOT_CPU: {
    cause: "A CPU's worker did not start (`deno run` without `--allow-read`, say), or died.",
    driver: driver(CRASH),
    run: `const two = await boot({ cpus: 2 });
await two.modules.load(driver);
const [i] = await ifCloneCreate(two.vnet0, "example", { cpu: 1 });
await i.up().finally(() => two.shutdown());`,
  },
  SOFTC_BOOT_DOWN: {
    cause: "The kernel has shut down.",
    run: `await kernel.shutdown();\nawait vnetCreate(vnet0, "late");`,
  },
  SOFTC_OPTION_UNKNOWN: {
    cause: "An option or a hook has a name that there is not.",
    run: `await boot({ cpu: 2 });`,
  },
  SOFTC_ARENA_FULL: {
    cause: "The arena has no room for what the call needs.",
    driver: driver(`shared: struct({ table: ["i32", 1 << 20] }),`),
    run: `${LOAD}\nfor (let n = 0; n < 40; n++) await ifCloneCreate(vnet0, "example");`,
  },
  SOFTC_ARENA_FREED: {
    cause: "Memory of the arena was used after it was freed. Found with boot({ debug: true }).",
    driver: `{
  name: "example",
  api: 1,
  cloner: "example",
  shared: struct({ word: "i32" }),
  attach(dev) {
    dev.ifnet({ type: "ether" });
    globalThis.kept = dev.shared;
    return {};
  },
  transmit: (_sc, batch) => batch.freeAll(),
}`,
    run: `${CREATE}\nawait ifCloneDestroy(i);\nglobalThis.kept.load("word");`,
  },
  SOFTC_ARENA_LEAK: {
    cause: "A driver host ended with memory that nobody had freed.",
    driver: driver(
      "",
      `(_sc, batch) => {
    batch.take(0); // and neither sent nor freed, not even in stop
    return batch.length;
  }`,
    ),
    run: `await kernel.modules.load(driver, { host: {} });
const [i] = await ifCloneCreate(vnet0, "example");
await i.up();
send(i);
for (let n = 0; n < 200 && i.counters.opackets === 0; n++) await new Promise((done) => setTimeout(done, 5));
await kernel.modules.unload("example", { mode: "drain" });`,
  },
  SOFTC_EPOCH_OUTSIDE: {
    cause: "A section was used after its callback had returned.",
    run: `const s = vnet0.section((s) => s);\nifnetByIndex(s, 1);`,
  },
  SOFTC_EPOCH_INSIDE: {
    cause: "A grace period was waited for inside a section, which would wait for itself.",
    untried: "every public way answers with SOFTC_DEV_REENTRANT first; it guards core's own calls",
  },
  SOFTC_EPOCH_ASYNC: {
    cause: "The callback of a section answered with a promise: it would stay open over an await.",
    run: `vnet0.section(async () => {});`,
  },
  SOFTC_EPOCH_FULL: {
    cause: "64 async sections are open already.",
    run: `const open = [];
try {
  for (let n = 0; n < 65; n++) open.push(epochOpen(kernel, "example"));
} finally {
  for (const s of open) s.close();
}`,
  },
  SOFTC_EPOCH_ARGUMENT: { cause: "No function was given.", run: `epochCall(kernel, "later");` },
  SOFTC_EPOCH_CLOSED: {
    cause: "An async section was closed twice.",
    run: `const s = epochOpen(kernel, "example");\ns.close();\ns.close();`,
  },
  SOFTC_IF_ARGUMENT: {
    cause: "A name, a batch, a frame or an interface is not what the signature says.",
    run: `await ifCloneCreate(vnet0, "null", { name: "9lives" });`,
  },
  SOFTC_IF_GONE: {
    cause: "The interface went away, or moved: the old Ifnet names a link that is over.",
    run: `await ifCloneDestroy(nic);\nawait ifCloneDestroy(nic);`,
  },
  SOFTC_IF_STATE: {
    cause: "Another operation owns the interface just now.",
    driver: driver("reassign: () => new Promise((done) => setTimeout(done, 50)),"),
    run: `${CREATE}
const move = ifVmove(i, await vnetCreate(vnet0, "red"));
try {
  await i.set({ mtu: 1400 });
} finally {
  await move;
}`,
  },
  SOFTC_IF_EXISTS: {
    cause: "An interface of that name is in the vnet, or one that is lent keeps the name for its return.",
    run: `await ifCloneCreate(vnet0, "null", { name: nic.name });`,
  },
  SOFTC_IF_WEDGED: {
    cause: "A hook did not settle in time, so nobody knows whether it still uses its memory.",
    driver: driver("stop: () => new Promise(() => {}),"),
    run: `${CREATE}\nawait ifDetach(i);`,
  },
  SOFTC_IF_NOT_ATTACHED: {
    cause: "What never was attached cannot be detached.",
    untried:
      "no public way gives out an interface before it is attached; tests/life/detach_test.ts catches one",
  },
  SOFTC_IF_FULL: {
    cause: "Every slot for an interface is in use.",
    run: `const small = await boot({ ifnets: 2 });
try {
  await small.modules.load("softc:null");
  for (let n = 0; n < 2; n++) await ifCloneCreate(small.vnet0, "null");
} finally {
  await small.shutdown();
}`,
  },
  SOFTC_IF_REF: {
    cause: "A reference was released twice, or is none.",
    run: `const ref = vnet0.section((s) => ifTryRef(s, ifnetByIndex(s, nic.index), "example"));
ifRele(ref);
ifRele(ref);`,
  },
  SOFTC_IF_MTU: { cause: "The MTU is out of range.", run: `await nic.set({ mtu: 9000 });` },
  SOFTC_VNET_ARGUMENT: {
    cause: "What was given is no vnet, or no name for one.",
    run: `await vnetCreate(vnet0, "two words");`,
  },
  SOFTC_VNET_EXISTS: {
    cause: "A vnet of that name exists.",
    run: `await vnetCreate(vnet0, "red");\nawait vnetCreate(vnet0, "red");`,
  },
  SOFTC_VNET_STATE: {
    cause: "The vnet is being made or destroyed.",
    run: `const red = await vnetCreate(vnet0, "red");
await vnetDestroy(red);
await ifCloneCreate(red, "null");`,
  },
  SOFTC_VNET_SAME: { cause: "The interface is in that vnet already.", run: `await ifVmove(nic, vnet0);` },
  SOFTC_VNET_VETO: {
    cause: "The driver's canMove gave a reason.",
    driver: driver('canMove: () => "the port is in use",'),
    run: `${CREATE}\nawait ifVmove(i, await vnetCreate(vnet0, "red"));`,
  },
  SOFTC_VNET_OVERDUE: {
    cause: "An async section stayed open longer than a move may wait.",
    run: `const k = await boot({ clock: "virtual" });
await k.modules.load("softc:null");
const [i] = await ifCloneCreate(k.vnet0, "null");
const s = epochOpen(k, "a dump of the tables");
k.advance(1001);
try {
  await ifVmove(i, await vnetCreate(k.vnet0, "red"));
} finally {
  s.close();
  await k.shutdown();
}`,
  },
  SOFTC_VNET_LOST: {
    cause: "A detach claimed the interface while it moved.",
    driver: driver("reassign: () => new Promise((done) => setTimeout(done, 50)),"),
    run: `${CREATE}
const move = ifVmove(i, await vnetCreate(vnet0, "red"));
await Promise.all([move, ifDetach(i)]);`,
  },
  SOFTC_VNET_REASSIGN: {
    cause: "The driver's reassign threw after the point of no return: the interface was detached.",
    driver: driver('reassign() {\n    throw new Error("the port did not answer");\n  },'),
    run: `${CREATE}\nawait ifVmove(i, await vnetCreate(vnet0, "red"));`,
  },
  SOFTC_VNET_FULL: {
    cause: "Every slot for a vnet is in use.",
    run: `for (let n = 0; n < 5000; n++) await vnetCreate(vnet0, "v" + n);`,
  },
  SOFTC_VNET_ORDER: {
    cause: "vnet0, or a vnet with children, was to be destroyed.",
    run: `await vnetDestroy(vnet0);`,
  },
  SOFTC_DEV_REENTRANT: {
    cause: "A structural operation was started inside a section or a synchronous hook.",
    run: `await vnet0.section(() => ({ up: nic.up() })).up;`,
  },
  SOFTC_DEV_SCOPE: {
    cause: "A timer, task or interrupt was armed after stop.",
    driver: driver(`stop(sc) {
    sc.timer = sc.dev.timer(() => {});
  },
  destroy: (sc) => sc.timer.set(1),`),
    run: `${CREATE}\nawait ifDetach(i);`,
  },
  SOFTC_DEV_ARGUMENT: {
    cause: "A timer was given a time that is none.",
    driver: driver("set: (sc) => sc.dev.timer(() => {}).set(NaN),"),
    run: CREATE,
  },
  SOFTC_DEV_IFNET: {
    cause: "attach declared no interface, two, or one that cannot be.",
    driver: `{
  name: "example",
  api: 1,
  cloner: "example",
  attach: () => ({}),
  transmit: (_sc, batch) => batch.freeAll(),
}`,
    run: CREATE,
  },
  SOFTC_DEV_BUSY: {
    cause: "The driver's canDetach gave a reason.",
    driver: driver('canDetach: (sc) => sc.dev.up ? "it is up" : true,'),
    run: `${CREATE}\nawait ifCloneDestroy(i);`,
  },
  SOFTC_DEV_EXISTS: {
    cause: "Something is plugged in at that place of the bus.",
    run: `await kernel.devices.plug({ bus: "test", address: "1" });
await kernel.devices.plug({ bus: "test", address: "1" });`,
  },
  SOFTC_DEV_CPU: {
    cause: "The kernel has no CPU of that number.",
    run: `await ifCloneCreate(vnet0, "null", { cpu: kernel.cpus });`,
  },
  SOFTC_DEV_GONE: {
    cause: "The device was unplugged, or its driver has closed it.",
    run: `await kernel.devices.unplug({});`,
  },
  SOFTC_DRIVER_SHAPE: {
    cause: "A module's default export is no driver.",
    driver: `{ name: "example", api: 1, attach: () => ({}) }`,
    run: LOAD,
  },
  SOFTC_DRIVER_API: {
    cause: "The driver is written for another version of the driver API.",
    driver: `{ name: "example", api: 2, attach: () => ({}), transmit: () => 0 }`,
    run: LOAD,
  },
  SOFTC_DRIVER_OPTIONS: {
    cause: "The driver's schema refused the options.",
    run: `await ifCloneCreate(vnet0, "epair", { options: { dispatch: "sideways" } });`,
  },
  SOFTC_DRIVER_THREW: {
    cause: "A hook threw. Its interface is taken down; boot's onFault hears of it.",
    driver: driver("", `() => {\n    throw new Error("no such register");\n  }`),
    run: `${CREATE}\nsend(i);`,
  },
  SOFTC_DRIVER_STALLED: {
    cause: "A hook did not settle within its deadline.",
    driver: driver("set: () => new Promise(() => {}),"),
    run: CREATE,
  },
  SOFTC_DRIVER_UNKNOWN: {
    cause: "No loaded module has a cloner of that name.",
    run: `await ifCloneCreate(vnet0, "loop");`,
  },
  SOFTC_DRIVER_COUNT: {
    cause: "transmit returned a number that cannot be: onFault hears of it.",
    driver: driver("", "(_sc, batch) => batch.length + 1"),
    run: `${CREATE}\nsend(i);`,
  },
  SOFTC_MODULE_LOAD: {
    cause: "The file cannot be found, does not parse, or throws.",
    run: `await kernel.modules.load("./no-such-driver.ts");`,
  },
  SOFTC_MODULE_ARGUMENT: {
    cause: "There is no such mode of unloading.",
    run: `await kernel.modules.unload("null", { mode: "gently" });`,
  },
  SOFTC_MODULE_EXISTS: {
    cause: "A module, driver or cloner of that name is loaded.",
    run: `await kernel.modules.load("softc:null");`,
  },
  SOFTC_MODULE_UNKNOWN: {
    cause: "No module of that name is loaded.",
    run: `await kernel.modules.unload("nul");`,
  },
  SOFTC_MODULE_BUSY: {
    cause: "Interfaces or other modules use it, or a driver refused.",
    run: `await kernel.modules.unload("null"); // the mode is "refuse"`,
  },
  SOFTC_MODULE_DEPENDS: {
    cause: "A module that it depends on is not loaded.",
    driver: `{ name: "example", api: 1, drivers: [], depends: ["mii"] }`,
    run: LOAD,
  },
  SOFTC_MODULE_STATE: {
    cause: "The module is loading or unloading.",
    run: `const unload = kernel.modules.unload("null", { mode: "drain" });
try {
  await kernel.modules.unload("null");
} finally {
  await unload;
}`,
  },
  SOFTC_HOST_ARGUMENT: {
    cause: "An option of the driver host is out of range.",
    driver: driver(""),
    run: `await kernel.modules.load(driver, { host: { slots: 100 } });`,
  },
  SOFTC_HOST_PERMISSIONS: {
    cause: "Permissions were given on a runtime whose workers have none.",
    untried: "Deno's workers have permissions: only Node and Bun refuse",
  },
  SOFTC_HOST_LATE: {
    cause: "A hook in a driver host did not settle within the host's deadline.",
    driver: driver("set: () => new Promise(() => {}),"),
    run: HOSTED,
  },
  SOFTC_HOST_LOST: {
    cause: "The driver ended its worker, or threw where nobody catches it.",
    driver: driver(CRASH),
    run: HOSTED,
  },
  SOFTC_HOST_STALLED: {
    cause: "The driver blocks its worker's thread.",
    driver: driver("set() {\n    for (const start = Date.now(); Date.now() - start < 2000;);\n  },"),
    run: HOSTED,
  },
  SOFTC_HOST_PROTOCOL: {
    cause: "The driver host's side of the border holds what no driver can have written by the rules.",
    untried: "no driver can reach the border; tests/host/border_test.ts writes nonsense into it",
  },
  SOFTC_MBUF_DOUBLE_FREE: {
    cause: "A packet was ended twice: freed, sent, or passed up and freed.",
    driver: driver(
      "",
      `(sc, batch) => {
    const m = batch.take(0);
    sc.dev.txDone(m);
    sc.dev.txDone(m);
    return 1;
  }`,
    ),
    run: `${CREATE}\nsend(i);`,
  },
  SOFTC_MBUF_NOT_OWNER: {
    cause: "A packet was used that was taken, freed or passed on before.",
    driver: driver(
      "",
      `(_sc, batch) => {
    batch.freeAll();
    return batch.bytes(0).length;
  }`,
    ),
    run: `${CREATE}\nsend(i);`,
  },
  SOFTC_MBUF_CORRUPT: {
    cause: "An internal check failed.",
    untried: "nothing that is known brings it about",
  },
  SOFTC_MBUF_RANGE: {
    cause: "A packet number is not in the batch, or a length does not fit.",
    run: `vnet0.section((s) => void mAlloc(s, 1, 5000));`,
  },
  SOFTC_INET_ARGUMENT: { cause: "The address is none.", run: `await inetAddress(nic, "10.0.0.256/24");` },
  SOFTC_INET_EXISTS: {
    cause: "The vnet has this address or route.",
    run: `await inetAddress(nic, "10.0.0.1/24");
await inetAddress(nic, "10.0.0.1/24");`,
  },
  SOFTC_INET_DUPLICATE: {
    cause: "A neighbour answered for the address (RFC 5227, RFC 4862).",
    run: `const [here, there] = await ifCloneCreate(vnet0, "epair");
const { ifnet: far } = await ifVmove(there, await vnetCreate(vnet0, "red"));
await Promise.all([here.up(), far.up()]);
await inetAddress(far, "10.0.0.1/24");
await inetAddress(here, "10.0.0.1/24", { dad: true });`,
  },
  SOFTC_INET_IN_USE: {
    cause: "A socket of the vnet has the port.",
    run: `udpOpen(vnet0, { port: 53 });\nudpOpen(vnet0, { port: 53 });`,
  },
  SOFTC_INET_ADDRESS: {
    cause: "The vnet has no such address.",
    run: `udpOpen(vnet0, { address: "10.9.9.9", port: 53 });`,
  },
  SOFTC_INET_UNREACHABLE: {
    cause: "The router is on no link of the vnet.",
    run: `inetRoute(vnet0, "0.0.0.0/0", "10.9.9.9");`,
  },
  SOFTC_INET_CLOSED: {
    cause: "The socket is closed.",
    run:
      `const s = udpOpen(vnet0, { port: 53 });\ns.close();\ns.send(new Uint8Array(1), { address: "10.0.0.2", port: 53 });`,
  },
  SOFTC_PCAP_BAD: {
    cause: "The file is no capture, or is cut off.",
    run: `readCapture(new TextEncoder().encode("no capture"), "notes.txt");`,
  },
  SOFTC_PCAP_ARGUMENT: {
    cause: "What is to be written fits no capture.",
    run: `new PcapngWriter().statistics(5, 0n);`,
  },
  SOFTC_PCAP_FILE: {
    cause: "The file cannot be read.",
    run: `await kernel.modules.load("softc:pcap");
await ifCloneCreate(vnet0, "pcap", { options: { file: "no-such.pcapng" } });`,
  },
  SOFTC_IF_UNKNOWN: {
    cause: "The running system has no such interface.",
    shell: `softc if show nul0`,
  },
  SOFTC_VNET_UNKNOWN: {
    cause: "The running system has no such vnet.",
    shell: `softc vnet show blu`,
  },
  SOFTC_LAB_BAD: {
    cause: "The lab file is no JSON, or not of its schema.",
    shell: `echo '{ "vnets": 5 }' > bad.json\nsoftc lab apply bad.json`,
  },
  SOFTC_LAB_FILE: {
    cause: "The lab file cannot be read.",
    shell: `softc lab apply no-such.json`,
  },
  SOFTC_LAB_APPLY: {
    cause: "A step of the plan failed.",
    shell: `echo '{ "modules": ["./no-such-driver.ts"] }' > lab.json\nsoftc lab apply lab.json`,
  },
  SOFTC_LAB_BUSY: {
    cause: "Two applies at a time.",
    api: `const lab = parseLab('{ "vnets": { "red": {} } }');
await Promise.all([server.apply(lab), server.apply(lab)]);`,
  },
  SOFTC_API_INPUT: {
    cause: "A body or parameter is not of the schema.",
    api: `await call("/api/vnet", { method: "POST", body: '{ "name": 5 }' });`,
  },
  SOFTC_API_TOKEN: {
    cause: "No token, or a wrong one.",
    api: `await call("/api/vnet", { headers: { authorization: "" } });`,
  },
  SOFTC_API_HOST: {
    cause: "The request names a host that is not the server's address.",
    api: `await call("/api/vnet", {}, server.url.replace("127.0.0.1", "0.0.0.0"));`,
  },
  SOFTC_API_ORIGIN: {
    cause: "Another page's script made the request.",
    api: `await call("/api/vnet", { headers: { origin: "https://example.org" } });`,
  },
  SOFTC_API_UNKNOWN: {
    cause: "There is no such path.",
    api: `await call("/api/vent");`,
  },
  SOFTC_API_METHOD: {
    cause: "The path has no such method.",
    api: `await call("/api/vnet", { method: "PATCH" });`,
  },
  SOFTC_API_SIZE: {
    cause: "The body is too large.",
    api: `await call("/api/vnet", { method: "POST", body: JSON.stringify("x".repeat(1000)) });`,
  },
  SOFTC_API_MEDIA: {
    cause: "The body is not declared to be JSON.",
    api: `await call("/api/vnet", {
  method: "POST",
  body: '{ "name": "red" }',
  headers: { "content-type": "text/plain" },
});`,
  },
  SOFTC_API_LIMIT: {
    cause: "More requests than the limit allows.",
    api: `for (let n = 0; n < 200; n++) await call("/api/vnet");`,
  },
  SOFTC_API_CAPTURE: {
    cause: "The capture was deleted, or never began.",
    shell: `softc capture save 99 --write x.pcapng`,
  },
  SOFTC_API_REPLUG: {
    cause: "Nothing of that name was pulled out, or who plugged it in must bring it back.",
    shell: `softc if replug left:wire`,
  },
  SOFTC_API_MODULE: {
    cause: "The API was asked to load code from a place that start did not allow.",
    shell: `softc module load https://example.org/driver.ts`,
  },
  SOFTC_API_INTERNAL: {
    cause: "Something failed that has no code of its own.",
    untried: "nothing that is known brings it about",
  },
  SOFTC_API_LISTEN: {
    cause: "The port or socket is taken.",
    api: `await serveControl(kernel, { port: Number(new URL(server.url).port) });`,
  },
  SOFTC_API_CONNECT: {
    cause: "No system runs there.",
    shell: `softc if list --session no-such-session.json`,
  },
};
