/** As much of JSON Schema as the API's document uses: judging values, and making them. @module */
import type { Json } from "./helper.ts";

/** A source of numbers that repeats for a seed (mulberry32). */
export function random(seed: number): () => number {
  return () => {
    seed = seed + 0x6d2b79f5 | 0;
    let t = Math.imul(seed ^ seed >>> 15, 1 | seed);
    t = t + Math.imul(t ^ t >>> 7, 61 | t) ^ t;
    return ((t ^ t >>> 14) >>> 0) / 2 ** 32;
  };
}

/** Judges and makes values by the schemas of one document. */
export class Schemas {
  constructor(
    readonly document: Json,
    readonly rand: () => number,
    /** Values for properties by name, so that requests meet what is there. */
    readonly likely: Record<string, Json[]> = {},
  ) {}

  /** Why the value does not fit; undefined when it does. */
  objection(s: Json, v: Json, at = ""): string | undefined {
    s = this.deref(s);
    const any = s.anyOf ?? s.oneOf;
    if (any !== undefined && any.every((x: Json) => this.objection(x, v, at) !== undefined)) {
      return `${at}: none of anyOf`;
    }
    if ("const" in s && v !== s.const) return `${at}: not ${s.const}`;
    if (s.enum !== undefined && !s.enum.includes(v)) return `${at}: not in enum`;
    if (s.type !== undefined && !typeFits(s.type, v)) return `${at}: not ${s.type}`;
    if (typeof v === "number") {
      if (v < (s.minimum ?? -Infinity) || v > (s.maximum ?? Infinity)) return `${at}: out of range`;
    }
    if (typeof v === "string") {
      if (v.length < (s.minLength ?? 0) || v.length > (s.maxLength ?? Infinity)) return `${at}: length`;
      if (s.pattern !== undefined && !new RegExp(s.pattern, "u").test(v)) return `${at}: pattern`;
    }
    if (Array.isArray(v)) {
      if (v.length < (s.minItems ?? 0) || v.length > (s.maxItems ?? Infinity)) return `${at}: items`;
      for (const [i, x] of v.entries()) {
        const no = s.items === undefined ? undefined : this.objection(s.items, x, `${at}/${i}`);
        if (no !== undefined) return no;
      }
    } else if (typeof v === "object" && v !== null) {
      for (const k of s.required ?? []) if (!Object.hasOwn(v, k)) return `${at}/${k}: missing`;
      for (const [k, x] of Object.entries(v)) {
        const own = Object.hasOwn(s.properties ?? {}, k) ? s.properties[k] : s.additionalProperties;
        if (own === false) return `${at}/${k}: not known`;
        const no = own === undefined || own === true ? undefined : this.objection(own, x, `${at}/${k}`);
        if (no !== undefined) return no;
        if (s.propertyNames !== undefined && this.objection(s.propertyNames, k) !== undefined) {
          return `${at}/${k}: name`;
        }
      }
    }
    return undefined;
  }

  /** A value that fits, as a rule: {@linkcode objection} has the last word. */
  make(s: Json, name = "", depth = 0): Json {
    const known = this.likely[name];
    if (known !== undefined && this.rand() < 0.9) return this.pick(known);
    s = this.deref(s);
    const any = s.anyOf ?? s.oneOf;
    if (any !== undefined) return this.make(this.pick(any), name, depth);
    if ("const" in s) return s.const;
    if (s.enum !== undefined) return this.pick(s.enum);
    const type = Array.isArray(s.type) ? this.pick(s.type) : s.type;
    if (type === "boolean") return this.rand() < 0.5;
    if (type === "integer" || type === "number") {
      const [low, high] = [s.minimum ?? 0, Math.min(s.maximum ?? 100, 1000)];
      return Math.floor(low + this.rand() * (high - low + 1));
    }
    if (type === "string") {
      return this.pick(["a", "b", "x0", "192.0.2.1", "02:00:00:00:00:01", "lo", "softc:null"]);
    }
    if (type === "array") {
      const n = Math.min(s.maxItems ?? 2, (s.minItems ?? 0) + Math.floor(this.rand() * 2));
      return Array.from({ length: n }, () => this.make(s.items ?? {}, name, depth + 1));
    }
    if (type === "object") {
      const keys = Object.keys(s.properties ?? {}).filter((k) =>
        (s.required ?? []).includes(k) || k === "count" || this.rand() < (depth > 2 ? 0.1 : 0.4)
      );
      return Object.fromEntries(keys.map((k) => [k, this.make(s.properties[k], k, depth + 1)]));
    }
    return this.pick([null, 1, "x", true]);
  }

  /** A value near to one that fits, that does not fit; undefined when no try led there. */
  spoil(s: Json): Json {
    for (let i = 0; i < 30; i++) {
      const v = this.#bend(structuredClone(this.make(s)));
      if (this.objection(s, v) !== undefined) return v;
    }
    return undefined;
  }

  #bend(v: Json): Json {
    const odd = [
      null,
      -1,
      1.5,
      1e308,
      "",
      "\u0000",
      "x".repeat(3000),
      [],
      {},
      true,
      "__proto__",
      "../..",
      "'; --",
    ];
    if (typeof v !== "object" || v === null || this.rand() < 0.1) return this.pick(odd);
    const keys = Object.keys(v);
    const roll = this.rand();
    if (keys.length === 0 || roll < 0.2) {
      return Array.isArray(v) ? [...v, this.pick(odd)] : { ...v, colour: 1 };
    }
    const k = this.pick(keys);
    if (roll < 0.4 && !Array.isArray(v)) delete v[k];
    else v[k] = this.#bend(v[k]);
    return v;
  }

  /** One of a list. */
  pick<T>(list: readonly T[]): T {
    return list[Math.floor(this.rand() * list.length)]!;
  }

  /** What a reference leads to. */
  deref(s: Json): Json {
    while (s?.$ref !== undefined) {
      s = s.$ref.slice(2).split("/").reduce((o: Json, k: string) => o[k], this.document);
    }
    return s;
  }
}

function typeFits(type: string | string[], v: Json): boolean {
  if (Array.isArray(type)) return type.some((t) => typeFits(t, v));
  if (type === "null") return v === null;
  if (type === "array") return Array.isArray(v);
  if (type === "object") return typeof v === "object" && v !== null && !Array.isArray(v);
  if (type === "integer") return Number.isSafeInteger(v);
  const actual: string = typeof v;
  return actual === type;
}
