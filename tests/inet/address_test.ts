import { assertEquals, assertThrows } from "@std/assert";
import { AF } from "../../core/net/domain.ts";
import { formatAddress, linkLocal, parseAddress, parsePrefix } from "../../vnet/inet/address.ts";
import { checksum } from "../../vnet/inet/checksum.ts";
import { hex } from "./kit.ts";

Deno.test("IPv6 addresses are read in every form and written in the canonical one (RFC 5952)", () => {
  const same: [string, string][] = [
    ["2001:0db8:0000:0000:0000:0000:0000:0001", "2001:db8::1"],
    ["2001:DB8::1", "2001:db8::1"],
    ["::", "::"],
    ["::1", "::1"],
    ["fe80::", "fe80::"],
    ["2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"],
    ["2001:0:0:1:0:0:0:1", "2001:0:0:1::1"],
    ["2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"],
    ["::ffff:192.0.2.128", "::ffff:c000:280"],
    ["1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8"],
  ];
  for (const [from, to] of same) assertEquals(formatAddress(AF.inet6, parseAddress(from).address), to);
});

Deno.test("what is no address is refused by code", () => {
  const wrong = [
    "",
    "1.2.3",
    "1.2.3.4.5",
    "256.1.1.1",
    "01.2.3.4",
    "1.2.3.4%lo",
    ":::",
    "1::2::3",
    "12345::",
    "g::",
  ];
  for (const text of [...wrong, "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "::1%", "1:2:3:4:5:6:7::8"]) {
    const e = assertThrows(() => parseAddress(text)) as { code?: string };
    assertEquals(e.code, "SOFTC_INET_ARGUMENT", text);
  }
  for (const text of ["10.0.0.0/33", "::/129", "10.0.0.0/", "/8", "10.0.0.0/8/8"]) {
    assertThrows(() => parsePrefix(text));
  }
});

Deno.test("a link-local address is made of the MAC address (RFC 2464 section 4's example)", () => {
  assertEquals(formatAddress(AF.inet6, linkLocal(hex("34 56 78 9a bc de"))), "fe80::3656:78ff:fe9a:bcde");
});

Deno.test("the checksum of the example of RFC 1071", () => {
  const bytes = hex("0001f203f4f5f6f7");
  assertEquals(checksum(bytes, 0, 8), ~0xddf2 & 0xffff);
  assertEquals(checksum(hex("45000073000040004011b861c0a80001c0a800c7"), 0, 20), 0);
});
