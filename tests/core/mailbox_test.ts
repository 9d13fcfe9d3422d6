import { assertEquals } from "@std/assert";
import { type Mail, mailboxAt, MailReceiver, MailSender } from "../../core/cpu/mailbox.ts";
import { MAILBOX } from "../../core/memory/arena.ts";
import { smallArena } from "./kit.ts";

function box(rung: () => void = () => {}) {
  const arena = smallArena();
  const at = mailboxAt(arena, 1, "down");
  return { arena, sender: new MailSender(arena, at, rung), inbox: new MailReceiver(arena, at) };
}

function all(inbox: MailReceiver): Mail[] {
  const mails: Mail[] = [];
  for (let m = inbox.next(); m !== undefined; m = inbox.next()) mails.push(m);
  return mails;
}

Deno.test("mail arrives in order, with its words, and rings", () => {
  let rings = 0;
  const { sender, inbox } = box(() => rings++);
  assertEquals(inbox.next(), undefined);
  sender.post([3, 9, 1, -2, 0x7fffffff, -0x80000000]);
  sender.post([4]);
  assertEquals(inbox.waits(), true);
  assertEquals(all(inbox), [
    { kind: 3, ticket: 9, a: 1, b: -2, c: 0x7fffffff, d: -0x80000000, text: "" },
    { kind: 4, ticket: 0, a: 0, b: 0, c: 0, d: 0, text: "" },
  ]);
  assertEquals([inbox.waits(), rings], [false, 2]);
});

Deno.test("mail that finds no room is kept and sent later, in order", () => {
  const { sender, inbox } = box();
  const n = 3 * MAILBOX.ENTRIES + 5;
  for (let i = 0; i < n; i++) sender.post([1, i]);
  const got: number[] = [];
  for (let rounds = 0; got.length < n && rounds < 10; rounds++) {
    got.push(...all(inbox).map((m) => m.ticket));
    // What is posted while mail is kept goes behind it.
    sender.flush();
  }
  assertEquals(got, Array.from({ length: n }, (_, i) => i));
  assertEquals(sender.flush(), false);
});

Deno.test("mail posted behind kept mail never overtakes it", () => {
  const { sender, inbox } = box();
  for (let i = 0; i <= MAILBOX.ENTRIES; i++) sender.post([1, i]);
  inbox.next();
  sender.post([1, 1000]);
  sender.flush();
  assertEquals(all(inbox).map((m) => m.ticket).slice(-2), [MAILBOX.ENTRIES - 1, MAILBOX.ENTRIES]);
  sender.flush();
  assertEquals(all(inbox).map((m) => m.ticket), [1000]);
});

Deno.test("long text travels beside the words", () => {
  const { arena, sender, inbox } = box();
  const bytes = new TextEncoder().encode("grüße ".repeat(200));
  arena.u8.set(bytes, arena.plan.heap * 4);
  sender.post([5, 0, 0, 0, 0, 0, arena.plan.heap, bytes.length]);
  assertEquals(inbox.next()!.text, "grüße ".repeat(200));
});

Deno.test("the mailboxes of all CPUs and directions are apart", () => {
  const arena = smallArena();
  const at = [0, 1].flatMap((k) => [mailboxAt(arena, k, "down"), mailboxAt(arena, k, "up")]);
  assertEquals(new Set(at).size, 4);
  at.sort((x, y) => x - y).forEach((x, i) => assertEquals(x, at[0]! + i * MAILBOX.WORDS));
});
