/**
 * The entry of a driver host: a worker with a kernel of its own, of one CPU, whose far side is a border.
 *
 * @module
 */
import { plainError } from "../core/cpu/cpu.ts";
import { Border } from "../core/device/host_border.ts";
import { openEndpoint } from "./endpoint.ts";
import { HostedKernel } from "./host_kernel.ts";
import type { HostNews, HostOrder, HostStart } from "./host_start.ts";

const endpoint = await openEndpoint();
const post = (news: HostNews): void => endpoint.post(news);
let host: HostedKernel | undefined;

async function start(s: HostStart): Promise<void> {
  try {
    host = await HostedKernel.start(new Border(s.buffer, s.config), s, (panic) => post({ panic }));
    post({ ready: host.facts });
  } catch (e) {
    post({ failed: plainError(e) });
  }
}

async function obey({ id, order }: HostOrder): Promise<void> {
  if (order === "quiesce") return post({ id, answer: await host!.quiesce() });
  post({ id, down: await host!.end() });
}

endpoint.listen((message) =>
  void ("order" in (message as object) ? obey(message as HostOrder) : start(message as HostStart))
);
post({ up: true });
