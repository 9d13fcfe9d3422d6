/** The dashboard in headless Chromium: every action done for real. Run by `deno task test:ui`. @module */
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { readCapture } from "../../../drivers/pcap/mod.ts";
import { epochCall, epochOpen } from "../../../mod.ts";
import { until } from "../../core/kit.ts";
import { type Api, withApi } from "../helper.ts";
import { CHROMIUM, type Locator, type Page, withPage } from "./browser.ts";

if (CHROMIUM === undefined) {
  console.log("skipped: the dashboard test needs Chromium (apt-get install chromium)");
}

const OUT = new URL("../../../coverage/ui/", import.meta.url).pathname;
const LAB = JSON.parse(
  Deno.readTextFileSync(new URL("../../../examples/two-vnets.json", import.meta.url)),
);

/** What a test of the page does with it. */
interface Ui extends Api {
  readonly page: Page;
  readonly complaints: string[];
  /** The row of an interface. */
  row(id: string): Locator;
  vnet(name: string): Locator;
  /** Clicks the button of that name. */
  click(name: string): Promise<void>;
  /** Waits until a button of that name is there. */
  there(name: string): Promise<void>;
  shot(name: string): Promise<unknown>;
  /** Names of the interfaces that are attached, by vnet. */
  attached(): string[];
}

/** The example lab with its page open and signed in. */
function test(name: string, fn: (ui: Ui) => Promise<void>): void {
  Deno.test({
    name,
    ignore: CHROMIUM === undefined,
    sanitizeOps: false,
    sanitizeResources: false,
    fn: () =>
      withApi({ cpus: 2 }, async (api) => {
        Deno.mkdirSync(OUT, { recursive: true });
        assertEquals((await api.call("PUT", "/api/lab", LAB)).status, 200);
        const { url, token } = api.server;
        await withPage(`${url}/#token=${token}`, async (page, complaints) => {
          await page.locator("#status:has-text('live')").waitFor();
          await page.locator('[data-if="left:wirea"]').waitFor();
          const button = (name: string): Locator => page.getByRole("button", { name, exact: true });
          await fn({
            ...api,
            page,
            complaints,
            row: (id) => page.locator(`[data-if="${id}"]`),
            vnet: (name) => page.locator(`[data-vnet="${name}"]`),
            click: (name) => button(name).click(),
            there: (name) => button(name).waitFor(),
            shot: (name) => page.screenshot({ path: `${OUT}${name}.png`, fullPage: true }),
            attached: () =>
              api.kernel.ifnets.filter((i) => i.state === "attached").map((i) => `${i.vnet.name}:${i.name}`),
          });
        });
      }),
  });
}

test("it shows the system live: interfaces, wires, rates, queues, drops, books, in light and dark", async (ui) => {
  const { page, row, shot, server } = ui;
  // The token is gone from the address.
  assertEquals(page.url(), `${server.url}/`);
  for (const id of ["left:lo0", "left:null0", "left:wana", "right:wireb", "right:wanb"]) {
    await row(id).waitFor();
  }
  await row("left:wirea").locator('.out:has-text(" M")').waitFor();
  await row("left:wana").locator('.queued:has-text("5")').waitFor();
  assertMatch(await row("left:wana").locator(".drops").innerText(), /^\d/);
  for (const id of ["rates", "queues", "drops"]) await page.locator(`#${id}-chart canvas`).waitFor();
  assertMatch((await page.locator("#rates-chart").getAttribute("aria-label"))!, /left:wirea [\d.]+ M/);
  // Full, but for the eighth whose room is given back at once (ring.ts, 5).
  assertMatch(
    (await page.locator("#queues-chart").getAttribute("aria-label"))!,
    /left:wana (4[4-9]|5[01])\d/,
  );
  assertMatch((await page.locator("#drops-chart").getAttribute("aria-label"))!, /left:wana \d/);
  await page.locator("#wires path.emulated").first().waitFor();
  assertStringIncludes((await row("left:wana").getAttribute("aria-label"))!, "wired to right:wanb");
  for (const reason of ["netem", "full"]) {
    await page.locator(`#ledger-rows tr.dropped:has-text("${reason}")`).waitFor();
  }
  assertStringIncludes(await page.locator("#ledger-rows").innerText(), "an emulated link lost it on purpose");
  assertStringIncludes(await page.locator("#ledger-sum").innerText(), "unaccounted 0");
  await shot("light");
  const background = (): Promise<string> => page.evaluate("getComputedStyle(document.body).backgroundColor");
  const light = await background();
  await page.emulateMedia({ colorScheme: "dark" });
  const dark = await background();
  assert(light !== dark);
  await shot("dark");
  // By hand it is the other way round, whatever the system has.
  await ui.click("Theme: auto");
  await ui.there("Theme: light");
  assertEquals(await background(), light);
  await page.emulateMedia({ colorScheme: "light" });
  await ui.click("Theme: light");
  await ui.there("Theme: dark");
  assertEquals(await background(), dark);
});

test("up, down, move by dragging and by keyboard, destroy and unload", async (ui) => {
  const { page, row, vnet, kernel, attached } = ui;
  const flags = (name: string): readonly string[] =>
    kernel.ifnets.find((i) => i.name === name)!.toJSON().flags;
  await ui.click("Down left:null0");
  await ui.there("Up left:null0");
  assert(!flags("null0").includes("UP"));
  await ui.click("Up left:null0");
  await ui.there("Down left:null0");
  assert(flags("null0").includes("UP"));

  await row("left:null0").dragTo(vnet("right"));
  await row("right:null0").waitFor();
  assert(attached().includes("right:null0"));
  const menu = page.getByRole("combobox", { name: "Move right:null0 to vnet" });
  await menu.focus();
  await menu.selectOption("left");
  await row("left:null0").waitFor();
  assert(attached().includes("left:null0"));
  // The focus stays on the menu although the page was filled anew.
  await page.locator('select[data-key="move null0"]:focus').waitFor();
  await page.locator('#events li:has-text("arrival left:null0")').first().waitFor();

  await page.getByRole("button", { name: "Destroy left:null0" }).focus();
  await page.keyboard.press("Enter");
  await row("left:null0").waitFor({ state: "detached" });
  assert(!attached().includes("left:null0"));
  await ui.click("Unload module null");
  await page.locator('#module-list li:has-text("null")').waitFor({ state: "detached" });
  assert(!kernel.modules.list().some((m) => m.name === "null"));
});

test("a pair is pulled out under traffic and plugged back, with its traffic", async (ui) => {
  const { page, row, attached, server: { system } } = ui;
  await ui.click("Unplug right:wireb");
  await row("left:wirea").waitFor({ state: "detached" });
  await ui.there("Replug left:wire");
  assert(!attached().some((i) => i.includes("wire")));
  await ui.shot("unplugged");
  await ui.click("Replug left:wire");
  await row("right:wireb").waitFor();
  await page.locator("#tray").waitFor({ state: "hidden" });
  await until("packets arrive again", () => system.ifnet("wireb").counters.ipackets > 0);
  assertEquals((await ui.call("GET", "/api/ledger")).body.unaccounted, 0);
});

test("a capture is begun, stopped, downloaded and deleted", async (ui) => {
  const { page } = ui;
  await ui.click("Capture right:wanb");
  await page.locator('#capture-list li:has-text("right:wanb")').waitFor();
  await until("it has packets", () => ui.server.system.captures.get("1").packets > 10);
  await ui.click("Stop capture 1");
  await page.locator('#capture-list li:has-text("it ")').waitFor();
  const downloaded = page.waitForEvent("download");
  await page.getByRole("link", { name: "Download capture 1" }).click();
  const file = await downloaded;
  assertEquals(file.suggestedFilename(), "wanb-1.pcapng");
  assert(readCapture(Deno.readFileSync(await file.path()), "wanb").frames.length > 10);
  await ui.click("Delete capture 1");
  await page.locator('#capture-list li:has-text("None")').waitFor();
  assertEquals(ui.server.system.captures.list(), []);
});

test("the epoch's timeline shows sections that are open, callbacks that wait, and grace periods", async (ui) => {
  const { page, kernel } = ui;
  const open = epochOpen(kernel, "the test holds it");
  let ran = false;
  try {
    await page.locator('#timeline .bar.open:has-text("the test holds it")').waitFor();
    epochCall(kernel, () => void (ran = true));
    await page.locator('#callbacks:text-matches("^[1-9]")').waitFor();
    await page.locator("#timeline rect.call").first().waitFor();
    await page.locator('#blame li:has-text("the test holds it")').first().waitFor();
    assertMatch((await page.locator("#timeline").getAttribute("aria-label"))!, /1 callbacks pending/);
    assert(!ran);
    await ui.shot("epoch");
  } finally {
    open.close();
  }
  await until("the callback runs", () => ran);
  await page.locator('#timeline .bar:not(.open):has-text("the test holds it")').first().waitFor();
  await page.locator("#timeline rect.grace").first().waitFor();
});

test("what is refused is told with its code and fix, and everything has a name", async (ui) => {
  const { page, row, vnet, complaints } = ui;
  assertEquals(complaints, []);
  await ui.call("POST", "/api/vnet", { name: "third" });
  await vnet("third").waitFor();
  await ui.call("POST", "/api/if", { vnet: "third", cloner: "lo", name: "lo0" });
  await row("third:lo0").waitFor();
  await row("left:lo0").locator("select").selectOption("third");
  await page.locator("#alert:has-text('SOFTC_IF_EXISTS')").waitFor();
  assertStringIncludes(await page.locator("#alert").innerText(), "Fix: ");
  // The browser itself notes the 409; nothing else may complain.
  assertEquals(complaints.splice(0).filter((c) => !c.includes("409")), []);
  const nameless = await page.evaluate<string[]>(
    `[...document.querySelectorAll("button,select,a,[role=group],[role=img],[role=log],section")]
      .filter((e) => !(e.getAttribute("aria-label") || e.getAttribute("aria-labelledby") || e.textContent.trim()))
      .map((e) => e.outerHTML)`,
  );
  assertEquals(nameless, []);
  const heads = await page.evaluate<number>('document.querySelectorAll("h1,h2").length');
  assert(heads >= 9);
});

Deno.test({
  name: "without a token the page says how to get in, and shows nothing",
  ignore: CHROMIUM === undefined,
  sanitizeOps: false,
  sanitizeResources: false,
  fn: () =>
    withApi({}, async ({ server }) => {
      await withPage(server.url, async (page, complaints) => {
        await page.locator("#status:has-text('not signed in')").waitFor();
        assertStringIncludes(await page.locator("#alert").innerText(), "softc start");
        assertEquals(await page.locator(".vnet").count(), 0);
        assertEquals(complaints.splice(0).filter((c) => !c.includes("401")), []);
      });
    }),
});
