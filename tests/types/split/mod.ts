import { defineDriver, type Driver } from "../../../core/device/mod.ts";
import { attach } from "./attach.ts";
import { options, shared, type SplitOptions } from "./options.ts";
import { transmit } from "./transmit.ts";

const split: Driver<SplitOptions> = defineDriver({
  name: "split",
  api: 1,
  cloner: "split",
  options,
  shared,
  attach,
  transmit,
});
export default split;
