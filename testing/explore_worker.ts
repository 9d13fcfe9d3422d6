/**
 * The entry of a logical thread's worker: imports the scenario, then runs schedule after schedule.
 *
 * @module
 */
import { plainError } from "../core/cpu/cpu.ts";
import { Arena } from "../core/memory/arena.ts";
import { openEndpoint } from "../kernel/endpoint.ts";
import { COORDINATOR, give, take, TURN } from "./block.ts";
import { loadDice } from "./dice.ts";
import { loadScenario } from "./load.ts";
import type { ThreadNews, ThreadStart } from "./news.ts";
import { Abort, LogicalThread } from "./thread.ts";

loadDice();
// Deep enough for what stands between an access and who made it.
Object.assign(Error, { stackTraceLimit: 32 });
const endpoint = await openEndpoint();
const tell = (news: ThreadNews): void => endpoint.post(news);

async function run(start: ThreadStart): Promise<void> {
  const x = new Int32Array(start.block);
  const { thread } = start;
  try {
    const scenario = await loadScenario(start.source);
    const arena = new Arena(start.memory, start.config);
    const logical = new LogicalThread(x, arena, scenario, thread, start.spins);
    tell({ ready: true });
    for (;;) {
      const what = take(x, thread, start.spins, Infinity);
      if (what === TURN.stop) break;
      if (what === TURN.abort) {
        await logical.abandon();
        give(x, COORDINATOR, 1);
      } else if (what === TURN.prepare) {
        await logical.prepare();
        give(x, COORDINATOR, 1);
      } else if (what === TURN.notes) {
        tell({ notes: logical.notes, thread });
        give(x, COORDINATOR, 1);
      } else {
        const threw = await logical.run(what - 1);
        if (threw !== undefined && !(threw instanceof Abort)) tell({ threw: plainError(threw), thread });
        if (logical.told) {
          await logical.abandon();
          give(x, COORDINATOR, 1);
        }
      }
    }
  } catch (e) {
    tell({ failed: plainError(e) });
    give(x, COORDINATOR, 2);
  }
}

endpoint.listen((message) => void run(message as ThreadStart));
tell({ up: true });
