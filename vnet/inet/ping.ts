/**
 * Pinging: ICMP echo requests from a vnet, and what comes back (RFC 792, RFC 4443 4).
 *
 * @module
 */
import { SoftcError } from "../../core/error.ts";
import { ENDED } from "../../core/memory/counters.ts";
import { AF } from "../../core/net/domain.ts";
import { checkNames, type Names } from "../../core/options.ts";
import { addressAt, formatAddress, parseAddress, UNSPECIFIED } from "./address.ts";
import { at16 } from "./checksum.ts";
import { walk } from "./extensions.ts";
import { ETHER } from "./headers.ts";
import { ARRIVAL, IPPROTO } from "./layout.ts";
import { takeError } from "./path_mtu.ts";
import { echoPayload, SEND, sendDatagram } from "./send.ts";
import { socketKey } from "./sockets.ts";
import type { SocketRow, VnetInet } from "./vnet_inet.ts";

/** How to ping. */
export interface PingOptions {
  /** Requests to send; 1 unless told. */
  readonly count?: number;
  /** Milliseconds between requests; 0 unless told: the next goes when the last was answered. */
  readonly interval?: number;
  /** Milliseconds to wait for an answer; 1000 unless told. */
  readonly timeout?: number;
  /** Bytes of data, at most 65,507; 56 unless told. */
  readonly size?: number;
  /** Hop limit, 1 to 255; 64 unless told. */
  readonly ttl?: number;
  /** Sets "don't fragment". */
  readonly dontFragment?: boolean;
}

/** What one request met. */
export interface PingReply {
  /** Which request, from 1. */
  readonly seq: number;
  /** Who answered; none when nobody did. */
  readonly from: string | undefined;
  /** What came back. */
  readonly answer: "reply" | "unreachable" | "time exceeded" | "too big" | "error" | "timeout" | "not sent";
  /** Code of an ICMP error, or the errno that kept it from being sent (see `UdpSocket.send`); else 0. */
  readonly code: number;
  /** The MTU that a "too big" names, in bytes; else 0. */
  readonly mtu: number;
  /** Milliseconds from request to answer, or until it was given up. */
  readonly ms: number;
  /** Hop limit of the answer; 0 when there is none. */
  readonly ttl: number;
}

/** What came of all requests. */
export interface PingResult {
  /** Requests. */
  readonly sent: number;
  /** Requests that were answered. */
  readonly received: number;
  /** What each request met. */
  readonly replies: readonly PingReply[];
}

type Answer = Omit<PingReply, "seq" | "ms">;
const NOBODY: Answer = { from: undefined, answer: "timeout", code: 0, mtu: 0, ttl: 0 };

/** What the numbers are unless told, and their least and greatest. */
const NUMBERS = {
  count: [1, 1, 2 ** 31 - 1],
  interval: [0, 0, 2 ** 31 - 1],
  timeout: [1000, 0, 2 ** 31 - 1],
  size: [56, 0, 65507],
  ttl: [64, 1, 255],
} as const;

const NAMES: Names<PingOptions> = {
  count: true,
  interval: true,
  timeout: true,
  size: true,
  ttl: true,
  dontFragment: true,
};

function checked(o: PingOptions): Record<keyof typeof NUMBERS, number> {
  return Object.fromEntries(
    Object.entries(NUMBERS).map(([name, [unlessTold, least, most]]) => {
      const n = o[name as keyof typeof NUMBERS] ?? unlessTold;
      if (Number.isInteger(n) && n >= least && n <= most) return [name, n];
      throw new SoftcError("SOFTC_INET_ARGUMENT", `Cannot ping with ${name} ${String(n)}`, {
        wanted: `${least} to ${most}`,
      });
    }),
  ) as Record<keyof typeof NUMBERS, number>;
}

/** Sends requests one after another. */
export async function pingVnet(v: VnetInet, destination: string, o: PingOptions): Promise<PingResult> {
  const { inet } = v;
  checkNames("ping", o, NAMES);
  const parsed = parseAddress(destination);
  const { family } = parsed;
  const { count, interval, timeout, size, ttl } = checked(o);
  const proto = family === AF.inet ? IPPROTO.icmp : IPPROTO.icmp6;
  const ident = v.freePort(proto);
  let settle: ((x: Answer) => void) | undefined;
  let expected = 0;
  const answered = (x: Answer): void => {
    inet.control.settled = true;
    settle?.(x);
  };
  const take = (id: number, arrival: number): number => {
    if (arrival === ARRIVAL.error) {
      const { type, code, mtu, from, ttl } = takeError(v, id, family);
      answered({ from, ttl, code, ...errorOf(family === AF.inet6, type, code, mtu) });
      return ENDED.delivered;
    }
    const { stack: st } = inet;
    const { u8 } = st;
    const ip = st.at(id) + ETHER;
    const six = family === AF.inet6;
    if (six) walk(u8, u8[ip + 6]!, ip + 40, ip + 6, ip + 40 + at16(u8, ip + 4), st.upper);
    const body = six ? st.upper.at : ip + (u8[ip]! & 15) * 4;
    if (at16(u8, body + 6) !== expected) return ENDED.delivered;
    const from = formatAddress(family, addressAt(u8, ip + (six ? 8 : 12), family));
    answered({ from, ttl: u8[ip + (six ? 7 : 8)]!, answer: "reply", code: 0, mtu: 0 });
    return ENDED.delivered;
  };
  const buffer = v.openBuffer(`ping from vnet ${v.vnet.name}`, take, () => 64);
  const row: SocketRow = {
    family,
    key: socketKey(proto, ident),
    laddr: UNSPECIFIED,
    raddr: UNSPECIFIED,
    rport: 0,
    buffer,
    whole: (w) => {
      if (at16(w.payload, 6) === expected) {
        answered({ from: formatAddress(family, w.source), ttl: w.ttl, answer: "reply", code: 0, mtu: 0 });
      }
      return ENDED.delivered;
    },
  };
  v.addSocket(row);
  const end = (): void => answered(NOBODY);
  v.onClose.add(end);
  const replies: PingReply[] = [];
  try {
    for (let seq = 1; seq <= count && !v.closed; seq++) {
      expected = seq;
      const started = inet.net.cpu.clock.now();
      const errno = inet.inSection(v, (st) =>
        sendDatagram(st, {
          family,
          destination: v.resolve(parsed),
          source: undefined,
          proto,
          ttl,
          dontFragment: o.dontFragment ?? false,
          via: undefined,
          broadcast: false,
          payload: echoPayload(family, ident, seq, size),
          ident: v.nextIdent(),
          pathMtu: v.pathMtu(family, v.resolve(parsed)),
        }));
      const answer = errno === SEND.ok
        ? await new Promise<Answer>((resolve) => {
          const timer = inet.net.cpu.timers.after(timeout, () => answered(NOBODY));
          settle = (x) => {
            settle = undefined;
            timer.armed = false;
            resolve(x);
          };
        })
        : { ...NOBODY, answer: "not sent" as const, code: errno };
      replies.push({ seq, ms: inet.net.cpu.clock.now() - started, ...answer });
      if (interval > 0 && seq < count) await inet.after(interval).done;
    }
  } finally {
    v.onClose.delete(end);
    v.removeSocket(row);
    v.closeBuffer(buffer);
  }
  return { sent: replies.length, received: replies.filter((r) => r.answer === "reply").length, replies };
}

function errorOf(six: boolean, type: number, code: number, mtu: number): Pick<PingReply, "answer" | "mtu"> {
  if (six ? type === 2 : type === 3 && code === 4) return { answer: "too big", mtu };
  if (six ? type === 1 : type === 3) return { answer: "unreachable", mtu: 0 };
  if (six ? type === 3 : type === 11) return { answer: "time exceeded", mtu: 0 };
  return { answer: "error", mtu: 0 };
}
