/** The dashboard's calls. @module */
/// <reference lib="dom" />

/** A problem document, as far as it is shown. */
export interface Problem {
  readonly detail: string;
  readonly code: string;
  readonly fix: string;
}

/** What the server refused. */
export class Refused extends Error {
  constructor(readonly problem: Problem) {
    super(problem.detail);
  }
}

/** Calls the API with the session's cookie. */
export async function call<T>(method: string, path: string, body?: unknown): Promise<T> {
  const r = await fetch(path, {
    method,
    ...(body === undefined
      ? {}
      : { body: JSON.stringify(body), headers: { "content-type": "application/json" } }),
  });
  const text = await r.text();
  if (!r.ok) throw new Refused(JSON.parse(text) as Problem);
  return (text === "" ? undefined : JSON.parse(text)) as T;
}

/** Swaps the token of the address for a cookie, and takes it out of the address and the history. */
export async function signIn(): Promise<void> {
  const token = new URLSearchParams(location.hash.slice(1)).get("token");
  if (token === null) return;
  history.replaceState(null, "", location.pathname);
  const r = await fetch("/api/session", { method: "POST", headers: { authorization: `Bearer ${token}` } });
  if (!r.ok) throw new Refused(JSON.parse(await r.text()) as Problem);
}
