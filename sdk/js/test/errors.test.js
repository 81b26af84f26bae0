// The catalogue of errors, and what becomes of each.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";

import { Device, ERRORS, MemoryStorage, RefusedError, isRefusal } from "../dist/index.js";

const PAGE = new URL("../../../docs/reference/errors.md", import.meta.url);

test("the catalogue is the documented one", async () => {
  const documented = {};
  for (const [, name, status, code] of (await readFile(PAGE, "utf8")).matchAll(
    /^- `([A-Z_]+)` \((\d+)(?:, code (\d+))?\)/gm,
  )) {
    documented[name] = { status: Number(status), ...(code ? { code: Number(code) } : {}) };
  }
  assert.deepEqual(ERRORS, documented);
});

test("each is a typed error with what the server said", async () => {
  const names = [...Object.keys(ERRORS), "SOMETHING_NEW"];
  for (const error of names) {
    const { status = 418, code } = ERRORS[error] ?? {};
    const type = `urn:anonymous-domains:error:${error.toLowerCase().replace(/_/g, "-")}`;
    const problem = { type, title: "Title", status, detail: "the detail", error, code };
    const device = new Device({
      storage: new MemoryStorage(),
      retry: { attempts: 1 },
      fetch: async () => Response.json(problem, { status }),
    });
    const refused = await device.join("https://domains.example/a/").catch((caught) => caught);
    assert.ok(refused instanceof RefusedError, error);
    assert.equal(refused.name, "RefusedError");
    assert.equal(refused.error, error);
    assert.equal(refused.status, status);
    assert.equal(refused.problem.code, code);
    assert.equal(refused.message, `The server refused: ${error}: the detail`);
    assert.deepEqual(names.filter((name) => isRefusal(refused, name)), [error]);
    assert.ok(isRefusal(refused));
  }
  assert.equal(isRefusal(new Error("no")), false);
});
