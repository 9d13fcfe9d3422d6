/**
 * Reads TypeScript as code: tokens without comments, so that a rule about code is not fooled by a word in a
 * comment or a string, nor by its absence. Enough of the lexical grammar for this repository's own files.
 *
 * @module
 */

/** One token; `text` of a string is its contents. The code inside `${}` of a template appears as tokens. */
export interface Token {
  readonly kind: "word" | "string" | "template" | "regex" | "number" | "punct";
  readonly text: string;
  readonly line: number;
}

/** After one of these words a `/` starts a regular expression, not a division. */
const BEFORE_REGEX = new Set(
  "return typeof case in of delete void throw new else do await yield instanceof extends".split(" "),
);
const WORD = /[\p{ID_Start}$_#@][\p{ID_Continue}$\u200c\u200d]*/uy;
const NUMBER = /\d(?:[\w.]|(?<=[eE])[+-])*/y;
const REGEX = /\/(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\\n[])+\/[a-z]*/y;
const STRING = /"(?:\\[^]|[^"\\\n])*"|'(?:\\[^]|[^'\\\n])*'/y;
const PUNCT = /=>|\?\.(?!\d)|\.\.\.|[^]/y;

/** Splits source text into tokens. */
export function tokenize(source: string): Token[] {
  const tokens: Token[] = [];
  /** For each open template expression, how many `{` are open inside it. */
  const templates: number[] = [];
  let at = 0;
  let line = 1;

  const match = (pattern: RegExp): string | undefined => {
    pattern.lastIndex = at;
    return pattern.exec(source)?.[0];
  };
  const skip = (text: string): void => {
    at += text.length;
    for (const c of text) if (c === "\n") line++;
  };
  const push = (kind: Token["kind"], raw: string, text = raw): void => {
    tokens.push({ kind, text, line });
    skip(raw);
  };
  /** Reads template text up to its end or the next `${`. */
  const template = (): void => {
    let end = at + 1;
    while (end < source.length && source[end] !== "`" && !source.startsWith("${", end)) {
      end += source[end] === "\\" ? 2 : 1;
    }
    const opens = source[end] === "$";
    push("template", source.slice(at, end + (opens ? 2 : 1)), source.slice(at + 1, end));
    if (opens) templates.push(0);
  };
  const regexMayStart = (): boolean => {
    const before = tokens.at(-1);
    if (before === undefined) return true;
    if (before.kind === "word") return BEFORE_REGEX.has(before.text);
    return before.kind === "punct" && !")]}".includes(before.text);
  };

  if (source.startsWith("#!")) skip(source.slice(0, source.indexOf("\n")));
  while (at < source.length) {
    const c = source[at]!;
    if (/\s/.test(c)) skip(c);
    else if (source.startsWith("//", at)) skip(match(/\/\/.*/y)!);
    else if (source.startsWith("/*", at)) skip(match(/\/\*[^]*?\*\//y) ?? source.slice(at));
    else if (c === "`") template();
    else if (c === "}" && templates.at(-1) === 0) {
      templates.pop();
      template();
    } else if (c === '"' || c === "'") {
      const raw = match(STRING) ?? c;
      push("string", raw, raw.slice(1, -1));
    } else if (/\d/.test(c)) push("number", match(NUMBER)!);
    else if (c === "/" && regexMayStart() && match(REGEX) !== undefined) push("regex", match(REGEX)!);
    else {
      const word = match(WORD);
      if (word !== undefined) push("word", word);
      else {
        if (c === "{" && templates.length > 0) templates[templates.length - 1]!++;
        if (c === "}" && templates.length > 0) templates[templates.length - 1]!--;
        push("punct", match(PUNCT)!);
      }
    }
  }
  return tokens;
}

/** One import or re-export. */
export interface Import {
  readonly specifier: string;
  readonly line: number;
}

/** The modules that a file names: `import`, `export ... from` and `import("...")`, types included. */
export function imports(tokens: readonly Token[]): Import[] {
  const found: Import[] = [];
  for (let i = 1; i < tokens.length; i++) {
    const { kind, text: specifier, line } = tokens[i]!;
    if (kind !== "string") continue;
    const before = tokens[i - 1]!;
    const dynamic = before.text === "(" && isWord(tokens[i - 2], "import");
    if (dynamic || isWord(before, "from") || isWord(before, "import")) found.push({ specifier, line });
  }
  return found;
}

/** Whether the token is this word, as code and not as text of a string. */
export function isWord(token: Token | undefined, word: string): boolean {
  return token?.kind === "word" && token.text === word;
}

/** Lines on which the word is used as a name: not as a property (`x.Deno`) and not as a key (`{ Deno: 1 }`). */
export function uses(tokens: readonly Token[], word: string): number[] {
  return tokens.flatMap((token, i) => {
    const before = tokens[i - 1]?.text;
    const property = before === "." || before === "?.";
    const key = tokens[i + 1]?.text === ":" && (before === "{" || before === ",");
    return isWord(token, word) && !property && !key ? [token.line] : [];
  });
}
