// node examples/join.mjs https://example.org/flashaccess/domainserver/living-room/ [join|leave|verify]
//
// The machine and its domains are in machine.json, which has private keys: nobody else may read it.

import { readFile, rename, writeFile } from "node:fs/promises";

import { Device, TextStorage, isRefusal } from "anonymous-domains";

const FILE = "machine.json";
const storage = await TextStorage.open({
  read: () => readFile(FILE, "utf8").catch((error) => {
    if (error.code !== "ENOENT") throw error;
  }),
  async write(text) {
    await writeFile(`${FILE}.new`, text, { mode: 0o600, flush: true });
    await rename(`${FILE}.new`, FILE);
  },
});
const device = new Device({ storage, token: process.env.DOMAIN_TOKEN });
const [url, action = "join"] = process.argv.slice(2);

try {
  if (action === "leave") {
    console.log(await device.leave(url));
  } else if (action === "verify") {
    for (const { membership, faults } of await device.verify(url)) {
      console.log(membership.domain, faults.length === 0 ? "is good" : faults);
    }
  } else {
    const { newMember, membership } = await device.join(url);
    const versions = membership.credentials.map(({ keyVersion }) => keyVersion);
    console.log(newMember ? "joined" : "is a member of", membership.domain, versions);
  }
} catch (error) {
  console.error(isRefusal(error, "DOM_LIMIT_REACHED") ? "Another device must leave first." : error.message);
  process.exitCode = 1;
}
