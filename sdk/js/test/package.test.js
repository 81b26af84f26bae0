// What is published.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFile } from "node:fs/promises";
import { test } from "node:test";

const PACKAGE = new URL("../", import.meta.url);

test("the package has what its README links to within it", async () => {
  const args = ["pack", "--dry-run", "--json", "--ignore-scripts"];
  const [{ files }] = JSON.parse(execFileSync("npm", args, { cwd: PACKAGE, encoding: "utf8" }));
  const packed = files.map(({ path }) => path);
  assert.ok(packed.includes("dist/index.js") && packed.includes("dist/index.d.ts"));
  const readme = await readFile(new URL("README.md", PACKAGE), "utf8");
  const links = Array.from(readme.matchAll(/\]\(([^)#:]+)\)/g), ([, target]) => target);
  const within = links.filter((target) => !target.startsWith("../"));
  assert.ok(within.length > 0);
  assert.deepEqual(within.filter((target) => !packed.includes(target)), []);
});
