/**
 * The OpenAPI 3.1 document, from the route table. Its schemas are JSON Schema 2020-12, which zod writes
 * itself: what validates is what is published, with no library in between.
 *
 * @module
 */
import { z } from "zod";
import type { Route } from "./route.ts";
import { PROBLEM } from "./schemas.ts";

type Json = { [key: string]: unknown };

/** The document. */
export function openapi(routes: readonly Route[]): object {
  const schemas: Json = {};
  const schema = (type: z.ZodType, io: "input" | "output"): Json => {
    const { $schema: _, $defs, ...rest } = z.toJSONSchema(type, { io, unrepresentable: "any" }) as Json;
    for (const [id, def] of Object.entries($defs as Json ?? {})) schemas[id] = relink(def);
    return relink(rest) as Json;
  };
  const problem = { "application/problem+json": { schema: schema(PROBLEM, "output") } };
  const paths: Record<string, Json> = {};
  for (const r of routes) {
    const success = r.reply === undefined ? 204 : r.status ?? 200;
    (paths[r.path] ??= {})[r.method] = {
      operationId: operationId(r),
      summary: r.summary,
      tags: [r.path.split("/")[2] ?? r.path.slice(1)],
      ...(r.open === true ? { security: [] } : {}),
      parameters: [...parameters(r.params, "path", schema), ...parameters(r.query, "query", schema)],
      ...(r.body === undefined ? {} : {
        requestBody: {
          required: true,
          content: { "application/json": { schema: schema(r.body, "input") } },
        },
      }),
      responses: {
        [success]: r.reply === undefined ? { description: "Done" } : {
          description: "Done",
          content: { [r.media ?? "application/json"]: { schema: schema(r.reply, "output") } },
        },
        default: { description: "What failed, why, and what to do", content: problem },
      },
    };
  }
  return {
    openapi: "3.1.0",
    info: {
      title: "softc",
      version: "1",
      description: "Run, watch and change a softc system.",
      license: { name: "MIT", identifier: "MIT" },
    },
    servers: [{ url: "/" }],
    security: [{ token: [] }, { cookie: [] }],
    paths,
    components: {
      securitySchemes: {
        token: { type: "http", scheme: "bearer" },
        cookie: { type: "apiKey", in: "cookie", name: "softc" },
      },
      schemas,
    },
  };
}

function operationId(r: Route): string {
  const words = r.path.replace(/^\/api\//, "/").split(/[/.]/).filter((w) => w !== "" && !w.startsWith("{"));
  return [
    r.method,
    ...words.map((w) => w[0]!.toUpperCase() + w.slice(1)),
    ...(r.path.includes("{") ? ["One"] : []),
  ]
    .join("");
}

function parameters(
  type: z.ZodType | undefined,
  place: "path" | "query",
  schema: (t: z.ZodType, io: "output") => Json,
): Json[] {
  if (type === undefined) return [];
  const { properties = {}, required = [] } = schema(type, "output") as {
    properties?: Json;
    required?: string[];
  };
  // A parameter with a default is always there afterwards, but need not be sent.
  return Object.entries(properties).map(([name, s]) => ({
    name,
    in: place,
    required: place === "path" || (required.includes(name) && !("default" in (s as Json))),
    schema: s,
  }));
}

function relink(x: unknown): unknown {
  if (Array.isArray(x)) return x.map(relink);
  if (typeof x !== "object" || x === null) return x;
  return Object.fromEntries(
    Object.entries(x).map(([k, v]) => [
      k,
      k === "$ref" && typeof v === "string" ? v.replace(/^#\/\$defs\//, "#/components/schemas/") : relink(v),
    ]),
  );
}
