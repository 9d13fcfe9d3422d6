/**
 * The IP stack of a vnet.
 *
 * @module
 */
export {
  inetAddress,
  inetAddresses,
  inetForwarding,
  inetNeighbour,
  inetNeighbours,
  inetRoute,
  inetRoutes,
  ping,
  udpOpen,
} from "./api.ts";
export type { AddressOptions, InetAddress, InetNeighbour, InetRoute } from "./api.ts";
export type { NeighbourState } from "./neighbour.ts";
export type { PingOptions, PingReply, PingResult } from "./ping.ts";
export type { Datagram, UdpError, UdpOptions, UdpSocket } from "./udp.ts";
