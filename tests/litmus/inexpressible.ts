/** Races that are not expressed, each with its reason. @module */
import type { Inexpressible } from "../../testing/litmus.ts";

/** The list. */
export const INEXPRESSIBLE: readonly Inexpressible[] = [];
