import { conformance } from "@softc/softc/testing";

// One test for each rule that a driver keeps. Its file stands beside this one: softc-tally.ts, or softc-tally.js once compiled.
conformance(import.meta.url.replace("_test.", "."), { cloner: "tally" });
