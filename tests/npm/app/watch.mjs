// `softc watch` as an author on Node has it. argv: the driver's compiled file.
import { appendFileSync, readFileSync, writeFileSync } from "node:fs";
import { watchDriver } from "@softc/softc/testing";

const [file] = process.argv.slice(2);
const text = readFileSync(file, "utf8");
const events = [];
let wake = () => {};
const watch = await watchDriver(file, { onEvent: (e) => (events.push(e), wake()) });
const next = async () => {
  const late = setTimeout(() => {
    throw new Error("no event within 20 s");
  }, 20_000);
  while (events.length === 0) await new Promise((resolve) => wake = resolve);
  clearTimeout(late);
  return events.shift();
};
const { generation: first } = await next();
appendFileSync(file, "\n// saved\n");
const { generation, before, ms } = await next();
writeFileSync(file, text.replace("let n = 0;", "let n = = 0;"));
const broken = await next();
writeFileSync(file, text.replace("let n = 0;", "let n = missing;"));
const third = await next();
const thrown = await next();
writeFileSync(file, text);
const last = await next();
const { unaccounted, leaks } = await watch.stop();
const line = (e) => text.split("\n")[e.at?.line - 1]?.trim();
console.log(
  JSON.stringify({
    generations: [first, generation, third.generation, last.generation],
    before,
    ms,
    lines: [line(broken), line(thrown)],
    unaccounted,
    leaks,
  }),
);
