/** Which addresses are anybody's to reach: not this machine, not its network, and nothing that is set aside. */
import { BlockList, isIPv4, isIPv6 } from "node:net";

/** IPv4 that is not global (IANA's registry of special purposes), multicast, what is reserved, and a cloud's own. */
const specialV4: [network: string, bits: number][] = [
  ["0.0.0.0", 8],
  ["10.0.0.0", 8],
  ["100.64.0.0", 10], // shared by a provider's customers
  ["127.0.0.0", 8],
  ["168.63.129.16", 32], // Azure's host answers its machines there
  ["169.254.0.0", 16], // link-local: clouds keep their metadata there
  ["172.16.0.0", 12],
  ["192.0.0.0", 24],
  ["192.0.2.0", 24],
  ["192.88.99.0", 24],
  ["192.168.0.0", 16],
  ["198.18.0.0", 15],
  ["198.51.100.0", 24],
  ["203.0.113.0", 24],
  ["224.0.0.0", 4],
  ["240.0.0.0", 4],
];
/** Of IPv6 only 2000::/3 is given out; these parts of it are special, or lead to IPv4 by a tunnel. */
const globalV6: [network: string, bits: number] = ["2000::", 3];
const specialV6: [network: string, bits: number][] = [
  ["2001::", 23],
  ["2001:db8::", 32],
  ["2002::", 16],
  ["3fff::", 20],
];

const special = new BlockList(), global = new BlockList();
for (const [network, bits] of specialV4) special.addSubnet(network, bits, "ipv4");
for (const [network, bits] of specialV6) special.addSubnet(network, bits, "ipv6");
global.addSubnet(...globalV6, "ipv6");

/** Whether an address, 192.0.2.1 or 2001:db8::1, is public; false of anything else. */
export function isPublicAddress(address: string): boolean {
  if (isIPv4(address)) return !special.check(address, "ipv4");
  // IPv4 in IPv6 (::ffff:10.0.0.1, 64:ff9b::10.0.0.1) lies outside of what is given out.
  return isIPv6(address) && !address.includes("%") && global.check(address, "ipv6") && !special.check(address, "ipv6");
}
