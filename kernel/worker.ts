/**
 * The entry of CPUs 1 to n: a worker that opens the arena and runs the pump.
 *
 * @module
 */
import { plainError } from "../core/cpu/cpu.ts";
import { workerPump } from "../core/cpu/pump.ts";
import { Arena } from "../core/memory/arena.ts";
import { assemble, clockOf } from "./cpu_kernel.ts";
import { openEndpoint } from "./endpoint.ts";
import { HostLinks } from "./host_links.ts";
import type { CpuLink, CpuNews, CpuStart } from "./start.ts";
import { yieldToLoop } from "./yield.ts";

const endpoint = await openEndpoint();
const links = new HostLinks();

async function run(start: CpuStart): Promise<void> {
  try {
    const arena = Arena.open(start.memory, start.config);
    const { cpu } = assemble(start.id, arena, clockOf(arena, start.virtualClock), {
      post: (m) => endpoint.post({ port: m }),
    }, links.import);
    endpoint.post({ ready: true } satisfies CpuNews);
    await workerPump(cpu, yieldToLoop);
    cpu.pool.flush();
    endpoint.post({ down: true } satisfies CpuNews);
  } catch (e) {
    endpoint.post({ died: plainError(e) } satisfies CpuNews);
  }
}

endpoint.listen((message) => {
  if ("link" in (message as object)) links.put((message as CpuLink).link);
  else void run(message as CpuStart);
});
endpoint.post({ up: true } satisfies CpuNews);
