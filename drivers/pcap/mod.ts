/**
 * pcap: capture files as interfaces. The driver replays one; `captureTo` records interfaces into one; the
 * reader and writer do the same for programs.
 *
 * @module
 */
export { default } from "./driver.ts";
export type { PcapOptions } from "./driver.ts";
export { captureTo } from "./capture.ts";
export type { CaptureFile, CaptureOptions } from "./capture.ts";
export { readCapture } from "./reader.ts";
export { PcapngWriter } from "./writer.ts";
export type { FrameRecord, InterfaceRecord } from "./writer.ts";
export { LINKTYPE_ETHERNET, LINKTYPE_LOOP, LINKTYPE_NULL, LINKTYPE_RAW } from "./format.ts";
export type { Capture, CapturedFrame, CaptureInterface, Direction } from "./format.ts";
