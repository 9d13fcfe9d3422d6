import { assert, assertEquals, assertRejects, assertStringIncludes, assertThrows } from "@std/assert";
import {
  boot,
  type BootOptions,
  epochCall,
  epochDrain,
  epochOpen,
  ifCloneCreate,
  ifCloneDestroy,
  ifDetach,
  ifVmove,
  isSoftcError,
  pktgen,
  SoftcError,
  vnetCreate,
} from "../../mod.ts";
import { assertNoLeaks, poll, workerThreads } from "../helpers/leaks.ts";
import { frames, send, udpFrame, until, untilAsync, withCleanKernel, withKernel } from "./kit.ts";
import { arenaConfig } from "../../kernel/options.ts";

const ROOT = new URL("../../", import.meta.url);

/** Runs a program against this tree; its output and exit code. */
async function run(
  program: string,
  permissions: string[],
): Promise<{ code: number; out: string; err: string }> {
  const file = await Deno.makeTempFile({ suffix: ".ts" });
  try {
    await Deno.writeTextFile(file, `import { boot } from "${new URL("mod.ts", ROOT)}";\n${program}`);
    const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "--no-check", "--no-prompt", "--no-lock", ...permissions, file],
      env: { NO_COLOR: "1" },
    }).output();
    const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
    return { code, out: text(stdout), err: text(stderr) };
  } finally {
    await Deno.remove(file);
  }
}

Deno.test("options out of range are refused before anything is made, each by name", async () => {
  const wrong: [BootOptions, string][] = [
    [{ cpus: 0 }, "cpus 0"],
    [{ cpus: 17 }, "cpus 17"],
    [{ cpus: 1.5 }, "cpus 1.5"],
    [{ cpus: "2" as unknown as number }, "cpus 2"],
    [{ arena: 100 }, "arena 100"],
    [{ arena: 2 ** 32 }, "arena 4294967296"],
    [{ arena: NaN }, "arena NaN"],
    [{ ifnets: 1 }, "ifnets 1"],
    [{ ifnets: 1 << 17 }, "ifnets 131072"],
    [{ mbufs: 63 }, "mbufs 63"],
    [{ mbufs: 2 ** 18 }, "mbufs 262144"],
    [{ hookDeadline: 0 }, "hookDeadline 0"],
  ];
  await assertNoLeaks(async () => {
    for (const [o, text] of wrong) {
      const e = await assertRejects(() => boot(o), SoftcError, `Cannot boot with ${text}`);
      assertEquals([e.code, e.errno, e.wanted?.slice(0, 14)], [
        "SOFTC_BOOT_ARGUMENT",
        "EINVAL",
        "a whole number",
      ]);
    }
  });
});

Deno.test("every size of the arena that is allowed brings its own numbers of interfaces and mbufs", () => {
  const sizes = (arena: number) => {
    const { ifnets, mbufs } = arenaConfig({ arena });
    return [ifnets, mbufs];
  };
  assertEquals(sizes(2 ** 20), [128, 256]);
  assertEquals(sizes(2 ** 26), [8192, 16384]);
  assertEquals(sizes(2 ** 30), [8192, 131072]);
  assertEquals(sizes(2 ** 31), [8192, 131072]);
});

Deno.test("what onFault throws is its own: a fault event says so, and what was under way goes on", async () => {
  await withKernel({
    onFault: () => {
      throw new Error("mine");
    },
  }, async ({ k }) => {
    const events = k.subscribe();
    epochCall(k, () => {
      throw new Error("the callback's");
    });
    await epochDrain(k);
    for await (const e of events) {
      if (e.type !== "fault" || e.name !== "onFault") continue;
      assertEquals(e.detail, "onFault threw: mine");
      break;
    }
  });
});

Deno.test("a stream through another kernel's interface is refused", async () => {
  await withCleanKernel({}, async ({ k }) => {
    await withCleanKernel({}, async ({ k: other }) => {
      await other.modules.load("softc:null");
      const [ifnet] = await ifCloneCreate(other.vnet0, "null");
      const e = await assertRejects(
        () => pktgen({ vnet: k.vnet0, ifnet, frame: new Uint8Array(64) }),
        SoftcError,
      );
      assertEquals([e.code, e.state], ["SOFTC_IF_ARGUMENT", "an interface of another kernel"]);
    });
  });
});

Deno.test("one CPU needs no worker, and carries packets", async () => {
  const report = await withCleanKernel({ cpus: 1 }, async ({ k }) => {
    await k.modules.load("softc:loopback");
    const [lo] = await ifCloneCreate(k.vnet0, "lo");
    await lo.up();
    send(k.vnet0, lo, frames(10));
    assertEquals([workerThreads(), k.inspect().workers], [[], []]);
  });
  assertEquals([report.sent, report.dropped], [10, { nosocket: 10 }]);
});

Deno.test("each CPU is a thread", async () => {
  await withCleanKernel({ cpus: 4 }, ({ k }) => {
    assertEquals([workerThreads().length, k.inspect().workers], [3, ["cpu 1", "cpu 2", "cpu 3"]]);
  });
});

Deno.test("a worker that cannot start rejects boot, and the other workers end", async () => {
  const real = globalThis.Worker;
  let made = 0;
  globalThis.Worker = class extends real {
    constructor(url: string | URL, o?: WorkerOptions) {
      super(++made === 2 ? "data:text/javascript,throw new Error('planted')" : url, o);
    }
  };
  try {
    await assertNoLeaks(async () => {
      const e = await assertRejects(() => boot({ cpus: 4 }), SoftcError, "Cannot start CPU 2");
      assertEquals(e.code, "SOFTC_BOOT_CPU");
      assertStringIncludes(e.message, "planted");
    });
  } finally {
    globalThis.Worker = real;
  }
  assertEquals(made, 3);
});

Deno.test("without permission to read its own modules boot rejects and the process ends", async () => {
  const program = 'await boot({ cpus: 2 }).then(() => console.log("up"), (e) => console.log(e.code, e.fix));';
  const { code, out } = await run(program, []);
  assertEquals([code, out.split(" ")[0]], [0, "SOFTC_BOOT_CPU"]);
});

Deno.test("a kernel keeps its process alive until it is shut down, then the process exits", async () => {
  for (const cpus of [1, 2]) {
    const program = `
      const k = await boot({ cpus: ${cpus} });
      console.log("up");
      // No timer of this program: unref'd, it would not keep the process alive by itself.
      const t = setTimeout(async () => { console.log("still here"); await k.shutdown(); console.log("down"); }, 200);
      Deno.unrefTimer(t);`;
    const { code, out, err } = await run(program, ["--allow-read"]);
    assertEquals([code, out, err], [0, "up\nstill here\ndown\n", ""]);
  }
});

Deno.test("shutdown is done once: callers share the closing books", async () => {
  const k = await boot({ cpus: 2 });
  const [a, b] = [k.shutdown(), k.shutdown()];
  assert(a === b);
  await k[Symbol.asyncDispose]();
  assertEquals((await a).unaccounted, 0);
  assertEquals(await k.shutdown(), await a);
});

Deno.test("a kernel can be disposed of at the end of a block", async () => {
  await assertNoLeaks(async (watch) => {
    await using k = watch(await boot({ cpus: 2 }));
    await vnetCreate(k.vnet0, "a");
  });
});

Deno.test("aborting the signal shuts the kernel down; an aborted one boots nothing", async () => {
  await assertNoLeaks(async (watch) => {
    const abort = new AbortController();
    const k = watch(await boot({ cpus: 2, signal: abort.signal }));
    abort.abort();
    assertEquals((await k.shutdown()).leaks, []);
    const e = await assertRejects(() => boot({ signal: abort.signal }), SoftcError);
    assertEquals(e.code, "SOFTC_BOOT_ARGUMENT");
  });
});

Deno.test("what is used after shutdown says so", async () => {
  const k = await boot();
  await k.modules.load("softc:null");
  const [i] = await ifCloneCreate(k.vnet0, "null");
  const { counters } = i;
  const gen = await pktgen({ vnet: k.vnet0, ifnet: i, frame: udpFrame() });
  await k.shutdown();
  const refused = (e: unknown): void => assert(isSoftcError(e, "SOFTC_BOOT_DOWN"), String(e));
  for (
    const use of [
      () => k.section(() => 1),
      () => k.vnet0.section(() => 1),
      () => k.subscribe(),
      () => epochCall(k, () => {}),
      () => epochOpen(k, "late"),
    ]
  ) refused(assertThrows(use));
  for (
    const use of [
      () => i.up(),
      () => i.set({ mtu: 1000 }),
      () => vnetCreate(k.vnet0, "x"),
      () => ifDetach(i),
      () => ifCloneDestroy(i),
      () => ifVmove(i, k.vnet0),
      () => epochDrain(k),
      () => gen.stop(),
      () => k.ledger(),
      () => k.modules.load("softc:null"),
      () => k.modules.unload("null"),
      () => ifCloneCreate(k.vnet0, "null"),
      () => pktgen({ vnet: k.vnet0, ifnet: i, frame: udpFrame() }),
    ]
  ) refused(await assertRejects(use));
  // What only reads stays readable.
  assertEquals([i.counters, i.state, k.resolve(i.handle), k.cpus], [counters, "freed", "gone", 1]);
});

Deno.test("several kernels in one process do not disturb each other", async () => {
  await assertNoLeaks(async (watch) => {
    const kernels = await Promise.all([1, 2, 3].map((cpus) => boot({ cpus, arena: 8 << 20 })));
    const sent = await Promise.all(kernels.map(async (k, n) => {
      watch(k);
      await k.modules.load("softc:loopback");
      const [lo] = await ifCloneCreate(k.vnet0, "lo");
      await lo.up();
      const gen = await pktgen({ vnet: k.vnet0, ifnet: lo, frame: udpFrame(), count: 1000 * (n + 1) });
      await untilAsync("all sent", async () => (await k.ledger()).sent >= 1000 * (n + 1) * k.cpus);
      await gen.stop();
      return lo.counters.opackets;
    }));
    assertEquals(sent, [1000, 4000, 9000]);
    const first = await kernels[0]!.shutdown();
    assertEquals([first.sent, first.unaccounted], [1000, 0]);
    // The others live on.
    const [lo] = kernels[1]!.ifnets;
    send(kernels[1]!.vnet0, lo!, frames(5));
    const foreign = await assertRejects(() => ifVmove(lo!, kernels[2]!.vnet0));
    assert(isSoftcError(foreign, "SOFTC_VNET_ARGUMENT"));
    const gone = await assertRejects(() => vnetCreate(kernels[0]!.vnet0, "x"));
    assert(isSoftcError(gone, "SOFTC_BOOT_DOWN"));
    assertEquals((await kernels[1]!.shutdown()).sent, 4005);
    assertEquals((await kernels[2]!.shutdown()).sent, 9000);
  });
});

Deno.test("a CPU that dies stops the kernel and says so with its books", async () => {
  await assertNoLeaks(async () => {
    const faults: SoftcError[] = [];
    const real = globalThis.Worker;
    const workers: Worker[] = [];
    globalThis.Worker = class extends real {
      constructor(url: string | URL, o?: WorkerOptions) {
        super(url, o);
        workers.push(this);
      }
    };
    const k = await boot({ cpus: 2, onFault: (e) => void faults.push(e) }).finally(() =>
      globalThis.Worker = real
    );
    workers[0]!.dispatchEvent(new ErrorEvent("error", { error: new Error("planted"), cancelable: true }));
    await until("the fault", () => faults.length > 0);
    assertEquals(faults[0]!.code, "SOFTC_BOOT_CPU");
    assertStringIncludes(faults[0]!.message, "CPU 1 died: planted; open sections: none; ledger: {");
    assertThrows(() => k.section(() => 1), SoftcError);
    assert(await poll(() => k.inspect().waits.length === 0 && k.inspect().timers.length === 0, 5000));
  });
});
