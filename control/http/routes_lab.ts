/** Routes of labs: the whole system as one declaration. @module */
import { z } from "zod";
import { applyLab } from "../lab/apply.ts";
import { planLab } from "../lab/plan.ts";
import { LAB } from "../lab/schema.ts";
import { EMPTY, labOf } from "../lab/units.ts";
import type { System } from "../system.ts";
import { type Route, route } from "./route.ts";

const STEPS = z.object({
  steps: z.array(z.string()).meta({ description: "What is done, in order; empty when all is as declared" }),
}).meta({ id: "LabSteps" });

const PROGRESS = z.object({
  step: z.string().optional().meta({ description: "Not there when nothing is applied" }),
  done: z.int(),
  total: z.int(),
}).meta({ id: "LabProgress" });

/** Routes of labs. */
export function labRoutes(system: System): Route[] {
  const lines = (steps: readonly { readonly text: string }[]): object => ({
    steps: steps.map((s) => s.text),
  });
  return [
    route({
      method: "get",
      path: "/api/lab",
      summary: "The system as it is, as a lab",
      reply: LAB,
      handle: () => labOf(system),
    }),
    route({
      method: "post",
      path: "/api/lab/diff",
      summary: "What an apply would do",
      body: LAB,
      reply: STEPS,
      handle: ({ body }) => lines(planLab(system, body)),
    }),
    route({
      method: "put",
      path: "/api/lab",
      summary: "Makes the system what the lab says: all of it, or nothing",
      body: LAB,
      reply: STEPS,
      handle: async ({ body }) => lines(await applyLab(system, body)),
    }),
    route({
      method: "get",
      path: "/api/lab/progress",
      summary: "The step of an apply that is under way",
      reply: PROGRESS,
      handle: () => system.applying ?? { done: 0, total: 0 },
    }),
    route({
      method: "delete",
      path: "/api/lab",
      summary: "Takes everything down",
      reply: STEPS,
      handle: async () => lines(await applyLab(system, EMPTY)),
    }),
  ];
}
