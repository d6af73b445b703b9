import assert from "node:assert/strict";
import { isPublicAddress } from "../../src/server/public_address.ts";

Deno.test("public addresses are those that anybody may reach", () => {
  for (
    const address of [
      "1.1.1.1",
      "9.255.255.255",
      "100.63.255.255",
      "172.32.0.1",
      "192.167.255.255",
      "223.255.255.255",
      "168.63.129.17",
    ]
  ) {
    assert.ok(isPublicAddress(address), address);
  }
  for (const address of ["2606:4700::1111", "2a00:1450:4001::200e", "2001:4860:4860::8888"]) {
    assert.ok(isPublicAddress(address), address);
  }
});

Deno.test("this machine, its network, clouds' metadata, and IPv4 within IPv6 are not public, nor is what is no address", () => {
  const v4 = [
    "0.0.0.0",
    "0.1.2.3",
    "10.0.0.1",
    "100.64.0.1",
    "127.0.0.1",
    "127.255.255.254",
    "169.254.169.254",
    "168.63.129.16",
  ];
  const more = ["172.16.0.1", "172.31.255.255", "192.0.0.1", "192.0.2.1", "192.88.99.1", "192.168.1.1", "198.18.0.1"];
  const rest = ["198.51.100.1", "203.0.113.1", "224.0.0.1", "239.1.1.1", "240.0.0.1", "255.255.255.255"];
  const v6 = [
    "::",
    "::1",
    "::ffff:127.0.0.1",
    "::ffff:8.8.8.8",
    "::7f00:1",
    "64:ff9b::a00:1",
    "64:ff9b:1::1",
    "100::1",
  ];
  const moreV6 = [
    "fe80::1",
    "fe80::1%eth0",
    "fc00::1",
    "fd00:ec2::254",
    "fec0::1",
    "ff02::1",
    "2001::1",
    "2001:db8::1",
  ];
  const tunnels = ["2002:7f00:1::", "2002:808:808::1", "3fff::1", "5f00::1"];
  const none = [
    "",
    "localhost",
    "1.2.3",
    "8.8.8.8 ",
    "08.8.8.8",
    "0x8.8.8.8",
    "[2606:4700::1111]",
    "2606:4700::1111%1",
  ];
  for (const address of [...v4, ...more, ...rest, ...v6, ...moreV6, ...tunnels, ...none]) {
    assert.equal(isPublicAddress(address), false, address);
  }
});
