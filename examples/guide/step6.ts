/** Step 6: middleware, and a module of several drivers. */
import { defineModule, type ModuleDef } from "@softc/softc/driver";
import { netem, trace, wrap } from "@softc/softc/drivers/wrap";
import swap from "./step2.ts";
import wide from "./step5.ts";

const module: ModuleDef = defineModule({
  name: "step6",
  api: 1,
  drivers: [
    { ...wrap(swap, trace(), netem({ loss: 0.1, seed: 7 })), name: "step6-lossy", cloner: "lossy" },
    { ...wide, name: "step6-wide", cloner: "wide" },
  ],
});
export default module;
