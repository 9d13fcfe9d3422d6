/**
 * What hosts and routers say of groups: IGMP over IPv4 (RFC 2236, RFC 3376) and MLD over IPv6 (RFC 2710, RFC
 * 3810). One protocol in two encodings: types, sizes of addresses and units of time differ, and stand in one table.
 *
 * @module
 */
import { get } from "../../core/doors/arena.ts";
import { AF } from "../../core/net/domain.ts";
import type { AttachedIfp } from "../../core/net/section.ts";
import { DROP } from "../../core/memory/counters.ts";
import { type Address, addressAt, isLinkLocal, putAddress, putWord } from "./address.ts";
import { putEntry, sourceOn } from "./address_list.ts";
import { at16, checksum, put16, sealIpv4 } from "./checksum.ts";
import { ETHER, header4, header6, sealIcmp6 } from "./headers.ts";
import { IPPROTO } from "./layout.ts";
import type { Stack } from "./stack.ts";

/** What the querier of a link understands: IGMPv1; IGMPv2 and MLDv1; IGMPv3 and MLDv2. */
export const LEVEL = { reports: 0, leaves: 1, records: 2 } as const;

/** Types of group records (RFC 3376 4.2.12, RFC 3810 5.2.12) of a host that hears every source. */
export const RECORD = { isExclude: 2, toInclude: 3, toExclude: 4 } as const;

/** One group in a report. */
export interface GroupRecord {
  readonly type: number;
  readonly group: Address;
}

/** A query, or another host's report. */
export type GroupMessage =
  | { readonly kind: "query"; readonly level: number; readonly group: Address; readonly ms: number }
  | { readonly kind: "report"; readonly group: Address };

interface Encoding {
  readonly query: number;
  /** By level. */
  readonly report: readonly number[];
  readonly leave: number;
  /** Where leaves go, and reports with records. */
  readonly routers: Address;
  readonly reporters: Address;
  /** Bytes before a group's address in a query or a simple report, and bytes of the address. */
  readonly before: number;
  readonly bytes: number;
}

/** By family. */
const ENCODING: readonly Encoding[] = [
  {
    query: 0x11,
    report: [0x12, 0x16, 0x22],
    leave: 0x17,
    routers: [0xe0000002 | 0, 0, 0, 0],
    reporters: [0xe0000016 | 0, 0, 0, 0],
    before: 4,
    bytes: 4,
  },
  {
    query: 130,
    report: [131, 131, 143],
    leave: 132,
    routers: [0xff020000 | 0, 0, 0, 2],
    reporters: [0xff020000 | 0, 0, 0, 0x16],
    before: 8,
    bytes: 16,
  },
];

/** Whether a type of IGMP or ICMPv6 is a query or a simple report: what a host listens to. */
export function isHeard(family: number, type: number): boolean {
  const { query, report } = ENCODING[family]!;
  return type === query || type === report[0] || type === report[1];
}

/** Reads a message whose checksum is right; none when its form is wrong or a host does not care. */
export function readGroupMessage(
  u8: Uint8Array,
  family: number,
  body: number,
  len: number,
): GroupMessage | undefined {
  const { query, before, bytes } = ENCODING[family]!;
  const short = before + bytes;
  if (len < short || !isHeard(family, u8[body]!)) return undefined;
  const group = addressAt(u8, body + before, family);
  if (u8[body] !== query) return { kind: "report", group };
  if (len > short && len < short + 4) return undefined;
  const records = len >= short + 4;
  const four = family === AF.inet;
  const code = four ? u8[body + 1]! : at16(u8, body + 4);
  const level = records ? LEVEL.records : four && code === 0 ? LEVEL.reports : LEVEL.leaves;
  // IGMPv1 names no time: ten seconds (RFC 2236 4).
  const ms = level === LEVEL.reports
    ? 10_000
    : (records ? unpacked(code, four ? 4 : 12) : code) * (four ? 100 : 1);
  return { kind: "query", level, group, ms };
}

/** A time as a small floating-point number when its first bit is set (RFC 3376 4.1.1, RFC 3810 5.1.3). */
function unpacked(code: number, bits: number): number {
  if (code >> (bits + 3) === 0) return code;
  return (code & (1 << bits) - 1 | 1 << bits) << (code >> bits & 7) + 3;
}

/** Says that groups are heard, or not any more, as the querier of the link understands it. */
export function sendReport(
  st: Stack,
  p: AttachedIfp,
  family: number,
  level: number,
  records: readonly GroupRecord[],
): void {
  const enc = ENCODING[family]!;
  if (level < LEVEL.records) {
    for (const { type, group } of records) {
      const leave = type === RECORD.toInclude;
      const body = new Uint8Array(enc.before + enc.bytes);
      body[0] = leave ? enc.leave : enc.report[level]!;
      putAddress(body, enc.before, family, group);
      if (!leave || level === LEVEL.leaves) send(st, p, family, leave ? enc.routers : group, body);
    }
    return;
  }
  const size = 4 + enc.bytes;
  const most = Math.floor((1280 - 64) / size);
  for (let from = 0; from < records.length; from += most) {
    const some = records.slice(from, from + most);
    const body = new Uint8Array(8 + some.length * size);
    body[0] = enc.report[level]!;
    put16(body, 6, some.length);
    some.forEach(({ type, group }, i) => {
      body[8 + i * size] = type;
      putAddress(body, 12 + i * size, family, group);
    });
    send(st, p, family, enc.reporters, body);
  }
}

/** Sends a message one hop far, with the router alert that makes every router look at it (RFC 2113, RFC 2711). */
function send(st: Stack, p: AttachedIfp, family: number, to: Address, body: Uint8Array): void {
  const header = family === AF.inet ? 24 : 48;
  const id = st.alloc(ETHER + header + body.length);
  if (id < 0) return;
  if (!st.routeVia(p, family, ...to)) return st.drop(id, DROP.noroute);
  const { u8 } = st;
  const ip = st.at(id) + ETHER;
  if (family === AF.inet) {
    put16(body, 2, checksum(body, 0, body.length));
    header4(u8, ip, IPPROTO.igmp, header + body.length, 1, 0, 0);
    put16(u8, ip, 0x46c0);
    putWord(u8, ip + 20, 0x94040000);
    u8.fill(0, ip + 12, ip + 16);
    const e = sourceOn(st.a, st.rData, ...to);
    if (e !== 0) putEntry(st.a, u8, ip + 12, family, e);
    putAddress(u8, ip + 16, family, to);
    sealIpv4(u8, ip);
    u8.set(body, ip + header);
  } else {
    header6(u8, ip, 0, 8 + body.length, 1);
    u8.fill(0, ip + 8, ip + 24);
    // Only from a link-local address, or from none while that is being tried (RFC 3810 5.2.13).
    const e = sourceOn(st.a, st.rData, 0xfe800000 | 0, 0, 0, 0);
    if (e !== 0 && isLinkLocal(get(st.a, e))) putEntry(st.a, u8, ip + 8, family, e);
    putAddress(u8, ip + 24, family, to);
    putWord(u8, ip + 40, IPPROTO.icmp6 << 24 | 0x000502);
    putWord(u8, ip + 44, 0x00000100);
    u8.set(body, ip + header);
    sealIcmp6(u8, ip, ip + header, body.length);
  }
  st.emit(id, family);
}
