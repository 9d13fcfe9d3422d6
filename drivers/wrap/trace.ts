/**
 * trace: a line for every hook of a driver, and counters of what goes by.
 *
 * @module
 */
import type { Middleware } from "./wrap.ts";

/**
 * Logs each hook but transmit, which is counted: `trace_transmit` (calls), `trace_sent` and `trace_received` (packets).
 *
 * @example
 * ```ts
 * import nullDriver from "@softc/softc/drivers/null";
 * import { trace, wrap } from "@softc/softc/drivers/wrap";
 *
 * export default wrap(nullDriver, trace());
 * ```
 */
export function trace(): Middleware {
  return {
    name: "trace",
    open: ({ dev }) => ({
      hook(name) {
        if (name === "transmit") dev.count("trace_transmit");
        else dev.log.info(`${name} on CPU ${dev.cpu}`);
      },
      sent: () => (dev.count("trace_sent"), "pass"),
      received: () => (dev.count("trace_received"), "pass"),
    }),
  };
}
