/**
 * The groups that a family of an interface hears, on CPU 0: who joined, and what the link's routers are told of it
 * as a host does that hears every source (RFC 2236, RFC 3376; RFC 2710, RFC 3810).
 *
 * A change is said twice, the second time after a random while. A query is answered after a random part of the
 * time that it allows. Whoever asks in an older version is spoken to in that version until nobody has asked so
 * for {@linkcode OLDER} milliseconds; there another host's report makes ours needless.
 *
 * @module
 */
import { load } from "../../core/doors/arena.ts";
import type { TimerEntry } from "../../core/doors/clock.ts";
import { IFNET } from "../../core/memory/arena.ts";
import { AF } from "../../core/net/domain.ts";
import { IFF, IFT } from "../../core/net/flags.ts";
import { type Address, sameAddress, UNSPECIFIED } from "./address.ts";
import type { InetControl } from "./control.ts";
import type { IfInet } from "./if_inet.ts";
import { type GroupMessage, LEVEL, RECORD, sendReport } from "./group_messages.ts";

/** Milliseconds before a change is said again: since IGMPv3 and MLDv2, and before (RFC 3376 8.11, RFC 2236 8.10). */
const AGAIN = [10_000, 10_000, 1_000];
/** Milliseconds that an older querier is believed to be there (RFC 3376 8.12, RFC 3810 9.12). */
export const OLDER = 260_000;

interface Member {
  readonly address: Address;
  /** Who joined; 0 = left, to be said once more. */
  count: number;
  /** When its next report is due, and what it says. */
  due: TimerEntry | undefined;
  record: number;
}

/** The groups of one family of an interface. */
export class Groups {
  readonly #members: Member[] = [];
  #level: number = LEVEL.records;
  #older: TimerEntry | undefined;
  /** The answer to a query about all groups. */
  #answer: TimerEntry | undefined;

  constructor(readonly inet: InetControl, readonly on: IfInet) {}

  /** Groups that are heard. */
  addresses(): Address[] {
    return this.#members.filter((m) => m.count > 0).map((m) => m.address);
  }

  /** One more hears a group. */
  join(address: Address): void {
    let m = this.#find(address);
    if (m === undefined) this.#members.push(m = { address, count: 0, due: undefined, record: 0 });
    if (m.count++ > 0) return;
    this.inet.publish(this.on);
    this.#changed(m, RECORD.toExclude);
  }

  /** One less hears it. */
  leave(address: Address): void {
    const m = this.#find(address);
    if (m === undefined || m.count === 0 || --m.count > 0) return;
    this.inet.publish(this.on);
    this.#changed(m, RECORD.toInclude);
  }

  /** Says everything again: the interface came up, or its link-local address may be used. */
  announce(): void {
    for (const m of this.#members) if (m.count > 0) this.#changed(m, RECORD.toExclude);
  }

  /** A query, or another host's report, came in on the interface. */
  heard(x: GroupMessage): void {
    if (x.kind === "report") {
      const m = this.#find(x.group);
      if (m !== undefined && m.count > 0 && this.#level < LEVEL.records) this.#cancel(m);
      return;
    }
    if (x.level < LEVEL.records) this.#speak(x.level);
    if (!sameAddress(x.group, UNSPECIFIED)) {
      const m = this.#find(x.group);
      if (m !== undefined && m.count > 0) this.#plan(m, x.ms);
    } else if (this.#level === LEVEL.records) {
      this.#answer = this.#sooner(this.#answer, x.ms, () => {
        const groups = this.#members.filter((m) => m.count > 0 && isReported(this.on.family, m.address));
        this.#send(groups.map((m) => ({ type: RECORD.isExclude, group: m.address })));
      });
    } else for (const m of this.#members) if (m.count > 0) this.#plan(m, x.ms);
  }

  /** The interface's data goes: nothing more is said. */
  close(): void {
    for (const m of this.#members.splice(0)) this.#cancel(m);
    for (const t of [this.#older, this.#answer]) if (t !== undefined) t.armed = false;
  }

  #find(address: Address): Member | undefined {
    return this.#members.find((m) => sameAddress(m.address, address));
  }

  /** From now on as an older querier understands it (RFC 3376 7.2.1). */
  #speak(level: number): void {
    if (this.#older?.armed === true && this.#level < level) return;
    if (this.#answer !== undefined) this.#answer.armed = false;
    if (this.#older !== undefined) this.#older.armed = false;
    this.#level = level;
    this.#older = this.inet.net.cpu.timers.after(OLDER, () => this.#level = LEVEL.records);
  }

  #changed(m: Member, record: number): void {
    this.#cancel(m);
    this.#say(m, record);
    // A leave of the older versions is said once (RFC 2236 3, RFC 2710 4).
    if (record === RECORD.toInclude && this.#level < LEVEL.records) return this.#forget(m);
    m.record = record;
    m.due = this.#after(AGAIN[this.#level]!, () => this.#say(m, record));
  }

  /** Answers about one group within `ms`, unless a report of it is due earlier. */
  #plan(m: Member, ms: number): void {
    const record = m.due?.armed === true ? m.record : RECORD.isExclude;
    const due = this.#sooner(m.due, ms, () => this.#say(m, record));
    if (due !== m.due) [m.due, m.record] = [due, record];
  }

  #say(m: Member, type: number): void {
    if (isReported(this.on.family, m.address)) this.#send([{ type, group: m.address }]);
    if (m.count === 0 && m.due !== undefined) this.#forget(m);
  }

  #forget(m: Member): void {
    this.#members.splice(this.#members.indexOf(m), 1);
  }

  #cancel(m: Member): void {
    if (m.due !== undefined) m.due.armed = false;
    m.due = undefined;
  }

  #after(ms: number, fn: () => void): TimerEntry {
    return this.inet.net.cpu.timers.after(Math.random() * ms, fn);
  }

  #sooner(now: TimerEntry | undefined, ms: number, fn: () => void): TimerEntry {
    const next = this.#after(ms, fn);
    if (now?.armed !== true) return next;
    const later = next.at < now.at ? now : next;
    later.armed = false;
    return later === now ? next : now;
  }

  /** What is said while the interface is down is said when it comes up. */
  #send(records: { type: number; group: Address }[]): void {
    const { a } = this.inet.arena;
    const slot = this.inet.arena.ifnetAt(this.on.e.index);
    const mute = load(a, slot + IFNET.type) === IFT.loop || (load(a, slot + IFNET.flags) & IFF.UP) === 0;
    if (mute || records.length === 0) return;
    this.inet.inSection(this.on.vnet, (st) => {
      const p = this.inet.ifp(st, this.on);
      if (p !== undefined) sendReport(st, p, this.on.family, this.#level, records);
    });
  }
}

/** All hosts, and what never leaves the interface, are not reported (RFC 3376 5, RFC 3810 6). */
function isReported(family: number, [w0, w1, w2, w3]: Address): boolean {
  if (family === AF.inet) return w0 !== (0xe0000001 | 0);
  const scope = w0 >>> 16 & 15;
  return scope > 1 && !(w0 === (0xff020000 | 0) && w1 === 0 && w2 === 0 && w3 === 1);
}
