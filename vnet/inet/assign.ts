/**
 * Giving an interface an address: trying whether somebody else on the link has it (RFC 4862 5.4, RFC 5227 2.1),
 * then using it.
 *
 * @module
 */
import { SoftcError } from "../../core/error.ts";
import { AF } from "../../core/net/domain.ts";
import { type Address, isLinkLocal } from "./address.ts";
import type { InetControl } from "./control.ts";
import type { AddressRow, IfInet } from "./if_inet.ts";
import { ADDR_KIND } from "./layout.ts";
import { sendArp, sendSolicitation } from "./solicit.ts";

/** Adds an address, tries it when it is to be tried, then uses it. */
export async function assign(
  inet: InetControl,
  on: IfInet,
  address: Address,
  plen: number,
  dad: boolean,
  what: string,
  out: { row?: AddressRow } = {},
): Promise<void> {
  const row = out.row = inet.addRow(on, address, plen, dad ? ADDR_KIND.tentative : ADDR_KIND.address);
  if (dad) {
    const duplicate = await disputed(inet, on, row);
    if (on.gone || !on.rows.includes(row)) {
      throw new SoftcError("SOFTC_IF_GONE", `Cannot use ${what} on ${on.e.name}`, {
        state: "gone",
        wanted: "live",
      });
    }
    if (duplicate) {
      inet.removeRow(on, row);
      throw new SoftcError("SOFTC_INET_DUPLICATE", `Cannot use ${what} on ${on.e.name}`, {
        state: "a neighbour has it",
        wanted: "nobody has it",
      });
    }
    row.kind = ADDR_KIND.address;
    inet.publish(on);
    // What was said from no address is said again from one (RFC 3590).
    if (on.family === AF.inet6 && isLinkLocal(address[0])) on.groups.announce();
  }
  on.vnet.addAddressRoutes(on, row);
  inet.announce(on, row);
}

/** Whether somebody answers for a tentative address, or it is taken away meanwhile. */
async function disputed(inet: InetControl, on: IfInet, row: AddressRow): Promise<boolean> {
  let duplicate = false;
  let heard = (): void => {};
  const conflict = new Promise<void>((resolve) => heard = resolve);
  row.conflict = () => {
    duplicate = true;
    inet.control.settled = true;
    heard();
  };
  const four = on.family === AF.inet;
  // RFC 5227 1.1: three probes and a wait; RFC 4862 5.1: one solicitation and a wait.
  for (let n = 0; n < (four ? 3 : 1) && !duplicate; n++) {
    inet.inSection(on.vnet, (st) => {
      const p = inet.ifp(st, on);
      if (p === undefined) return;
      if (four) sendArp(st, p, 1, 0, row.address[0]);
      else sendSolicitation(st, p, 0, ...row.address);
    });
    const wait = inet.after(four && n === 2 ? 2000 : 1000);
    await Promise.race([wait.done, conflict]);
    wait.cancel();
  }
  row.conflict = undefined;
  return duplicate;
}
