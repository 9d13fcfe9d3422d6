/** Opens a server before it declares its interface, and forgets it when it cannot; its stop awaits the runtime. @module */
import { once } from "node:events";
import { createServer } from "node:net";
import { defineDriver, type Driver } from "../../core/device/mod.ts";

const outside: Driver<undefined> = defineDriver({
  name: "outside",
  api: 1,
  cloner: "outside",
  async attach(dev) {
    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    server.unref();
    dev.ifnet({ type: "ether" });
    return { server };
  },
  transmit: (_sc, batch) => batch.freeAll(),
  async stop({ server }) {
    server.close();
    await once(server, "close");
  },
});
export default outside;
