/**
 * USB descriptors, read as what they are: bytes of a stranger. Nothing outside the block is read, lengths that
 * lie end the reading, and what is missing is said by name.
 *
 * @module
 */

/** Numbers of USB 2.0, CDC 1.2, ECM 1.2 and NCM 1.0 that are used here; each says where it is defined. */
export const USB = {
  /** Descriptor type, of the device: USB 2.0, 9.6.1. */
  DEVICE: 1,
  /** Descriptor type, of a configuration: USB 2.0, 9.6.3. */
  CONFIGURATION: 2,
  /** Descriptor type, of a string: USB 2.0, 9.6.7. */
  STRING: 3,
  /** Descriptor type, of an interface: USB 2.0, 9.6.5. */
  INTERFACE: 4,
  /** Descriptor type, of an endpoint: USB 2.0, 9.6.6. */
  ENDPOINT: 5,
  /** Descriptor type, class-specific, of an interface: CDC 1.2, 5.2.3. */
  CS_INTERFACE: 0x24,
  /** Request, reads a descriptor; wValue is type << 8 | index: USB 2.0, 9.4.3. */
  GET_DESCRIPTOR: 6,
  /** Request, chooses a configuration: USB 2.0, 9.4.7. */
  SET_CONFIGURATION: 9,
  /** Request, chooses an alternate setting: USB 2.0, 9.4.10. */
  SET_INTERFACE: 11,
  /** Request; with wValue 0 it ends the halt of an endpoint: USB 2.0, 9.4.1. */
  CLEAR_FEATURE: 1,
  /** Interface class of control interfaces: CDC 1.2, 4.2. */
  CLASS_CDC: 2,
  /** Interface class of data interfaces: CDC 1.2, 4.5. */
  CLASS_CDC_DATA: 10,
  /** Subclass of a control interface, Ethernet Networking: CDC 1.2, 4.3. */
  ECM: 6,
  /** Subclass of a control interface, Network Control Model: CDC 1.2, 4.3. */
  NCM: 13,
  /** Functional descriptor, names the data interface: CDC 1.2, 5.2.3.2. */
  UNION: 6,
  /** Functional descriptor, has MAC address and largest frame: ECM 1.2, 5.4. */
  ETHERNET: 15,
  /** Functional descriptor of NCM: NCM 1.0, 5.2.1. */
  NCM_FUNCTION: 26,
  /** Request, which frames the host wants: ECM 1.2, 6.2.4. */
  SET_PACKET_FILTER: 0x43,
  /** Request, reads 28 bytes of block limits: NCM 1.0, 6.2.1. */
  GET_NTB_PARAMETERS: 0x80,
  /** Request, bytes of a block to the host at most: NCM 1.0, 6.2.7. */
  SET_NTB_INPUT_SIZE: 0x86,
  /** Notification, wValue 1 = the link is up: CDC 1.2, 6.3.1. */
  NOTIFY_CONNECTION: 0,
  /** Notification, bits per second down and up: CDC 1.2, 6.3.3. The driver ignores it. */
  NOTIFY_SPEED: 0x2a,
  /** Bit 7 of an endpoint's address: to the host. USB 2.0, 9.6.6. */
  IN: 0x80,
  /** Transfer type of an endpoint, bulk: USB 2.0, 9.6.6. */
  BULK: 2,
  /** Transfer type of an endpoint, interrupt: USB 2.0, 9.6.6. */
  INTERRUPT: 3,
} as const;

/** An endpoint: its descriptor, USB 2.0, 9.6.6. */
export interface Endpoint {
  /** bEndpointAddress: bit 7 = IN. */
  readonly address: number;
  /** Transfer type, two bits: 2 bulk, 3 interrupt. */
  readonly type: number;
  /** Bytes of a packet at most: bits 0 to 10 of wMaxPacketSize. */
  readonly maxPacket: number;
}

/** One alternate setting of an interface: its descriptor, USB 2.0, 9.6.5. */
export interface Alternate {
  /** bInterfaceNumber. */
  readonly number: number;
  /** bAlternateSetting. */
  readonly alternate: number;
  /** bInterfaceClass. */
  readonly cls: number;
  /** bInterfaceSubClass. */
  readonly subclass: number;
  /** Its endpoints. */
  readonly endpoints: Endpoint[];
  /** Its class-specific descriptors, whole (length and type in front): views into the block. */
  readonly extra: Uint8Array[];
}

/** A configuration, as far as it could be read. */
export interface Configuration {
  /** bConfigurationValue; 0 when the block has none. */
  readonly value: number;
  /** Every setting of every interface, in the order of the block. */
  readonly interfaces: readonly Alternate[];
  /** What was wrong: reading ended there. */
  readonly trouble?: string;
}

/**
 * Reads a configuration descriptor and what follows it (USB 2.0, 9.6.3). Never throws: see `trouble`.
 *
 * @example
 * ```ts
 * import { findFunction, parseConfiguration } from "@softc/softc/drivers/usb";
 *
 * const c = parseConfiguration(Uint8Array.of(9, 2, 18, 0, 1, 1, 0, 0x80, 50, 9, 4, 0, 0, 0, 3, 1, 1, 0));
 * console.log(c.interfaces[0]?.cls); // 3, a keyboard
 * console.log(findFunction(c)); // no CDC Ethernet interface
 * ```
 */
export function parseConfiguration(block: Uint8Array): Configuration {
  const interfaces: Alternate[] = [];
  const trouble = (what: string): Configuration => ({ value: block[5] ?? 0, interfaces, trouble: what });
  if (block.length < 9 || block[0]! < 9 || block[1] !== USB.CONFIGURATION) {
    return trouble("no configuration descriptor");
  }
  const total = Math.min(block.length, block[2]! | block[3]! << 8);
  let current: Alternate | undefined;
  for (let at = block[0]!; at < total;) {
    const len = block[at]!;
    if (len < 2 || at + len > total) {
      return trouble(`descriptor at ${at} is ${len} bytes long, ${total - at} are left`);
    }
    const d = block.subarray(at, at + len);
    switch (d[1]) {
      case USB.INTERFACE:
        if (len < 9) return trouble(`interface descriptor of ${len} bytes`);
        current = { number: d[2]!, alternate: d[3]!, cls: d[5]!, subclass: d[6]!, endpoints: [], extra: [] };
        interfaces.push(current);
        break;
      case USB.ENDPOINT:
        if (len < 7) return trouble(`endpoint descriptor of ${len} bytes`);
        current?.endpoints.push({ address: d[2]!, type: d[3]! & 3, maxPacket: (d[4]! | d[5]! << 8) & 0x7ff });
        break;
      case USB.CS_INTERFACE:
        if (len >= 3) current?.extra.push(d);
    }
    at += len;
  }
  return { value: block[5]!, interfaces };
}

/** A CDC Ethernet function that a driver can use: a control interface and the data interface that its union names. */
export interface CdcFunction {
  /** NCM or ECM. */
  readonly kind: "ecm" | "ncm";
  /** bConfigurationValue. */
  readonly configuration: number;
  /** The control interface. */
  readonly control: Alternate;
  /** The setting of the data interface that has the endpoints. */
  readonly data: Alternate;
  /** Packets to the host. */
  readonly bulkIn: Endpoint;
  /** Packets from the host. */
  readonly bulkOut: Endpoint;
  /** Notifications, where it has them. */
  readonly notify: Endpoint | undefined;
  /** String index of the MAC address; 0 = none. */
  readonly macString: number;
  /** Bytes of the largest frame, Ethernet header included: wMaxSegmentSize, as the device says. */
  readonly maxSegment: number;
}

/** The CDC Ethernet function of a configuration, NCM before ECM; else a text that says why there is none. Never throws. */
export function findFunction(c: Configuration): CdcFunction | string {
  const reasons: string[] = [];
  for (const [kind, subclass] of [["ncm", USB.NCM], ["ecm", USB.ECM]] as const) {
    for (const control of c.interfaces) {
      if (control.cls !== USB.CLASS_CDC || control.subclass !== subclass) continue;
      const found = complete(c, kind, control);
      if (typeof found !== "string") return found;
      reasons.push(`${kind}: ${found}`);
    }
  }
  if (c.trouble !== undefined) reasons.push(c.trouble);
  return reasons.join("; ") || "no CDC Ethernet interface";
}

function complete(c: Configuration, kind: "ecm" | "ncm", control: Alternate): CdcFunction | string {
  const union = control.extra.find((d) => d[2] === USB.UNION && d.length >= 5);
  const ethernet = control.extra.find((d) => d[2] === USB.ETHERNET && d.length >= 13);
  if (union === undefined) return "no union descriptor";
  if (ethernet === undefined) return "no Ethernet descriptor";
  for (const data of c.interfaces) {
    if (data.number !== union[4] || data.cls !== USB.CLASS_CDC_DATA) continue;
    const bulk = (dir: number): Endpoint | undefined =>
      data.endpoints.find((e) => e.type === USB.BULK && (e.address & USB.IN) === dir && e.maxPacket > 0);
    const [bulkIn, bulkOut] = [bulk(USB.IN), bulk(0)];
    if (bulkIn === undefined || bulkOut === undefined) continue;
    return {
      kind,
      configuration: c.value,
      control,
      data,
      bulkIn,
      bulkOut,
      notify: control.endpoints.find((e) => e.type === USB.INTERRUPT && (e.address & USB.IN) !== 0),
      macString: ethernet[3]!,
      maxSegment: ethernet[8]! | ethernet[9]! << 8,
    };
  }
  return `no setting of data interface ${union[4]} has both bulk endpoints`;
}

/**
 * The text of a string descriptor (USB 2.0, 9.6.7); undefined when it is none.
 *
 * @example
 * ```ts
 * import { parseString, USB } from "@softc/softc/drivers/usb";
 *
 * console.log(parseString(Uint8Array.of(6, USB.STRING, 0x68, 0, 0x69, 0))); // hi
 * ```
 */
export function parseString(d: Uint8Array): string | undefined {
  const len = Math.min(d[0] ?? 0, d.length);
  if (len < 2 || d[1] !== USB.STRING) return undefined;
  let text = "";
  for (let i = 2; i + 1 < len; i += 2) text += String.fromCharCode(d[i]! | d[i + 1]! << 8);
  return text;
}

/**
 * The 6 bytes of a MAC address from twelve hexadecimal digits (ECM 1.2, 5.4: iMACAddress); undefined when it is none, zero, or a multicast one.
 *
 * @example
 * ```ts
 * import { parseMac } from "@softc/softc/drivers/usb";
 *
 * console.log(parseMac("020000000001"), parseMac("no MAC")); // 6 bytes, undefined
 * ```
 */
export function parseMac(text: string | undefined): Uint8Array | undefined {
  if (text === undefined || !/^[0-9a-fA-F]{12}$/.test(text)) return undefined;
  const mac = Uint8Array.from({ length: 6 }, (_, i) => parseInt(text.slice(2 * i, 2 * i + 2), 16));
  return (mac[0]! & 1) === 1 || mac.every((b) => b === 0) ? undefined : mac;
}
