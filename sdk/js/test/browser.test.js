// A page in Chromium, on another origin than the gateway's. There is one domain, whose keys are RSA, and may
// be no other: the tests build on each other.

import assert from "node:assert/strict";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";

import { chromium } from "playwright-core";

import { nameOf, serve, startServer } from "./server.js";
import { seal } from "./seal.js";

const EXECUTABLE = process.env.CHROMIUM ?? "/usr/bin/chromium";
/** How long a busy machine may take for something, in milliseconds. */
const PATIENCE_MS = 120_000;
const PACKAGE = new URL("../", import.meta.url);
const PAGE = `<!doctype html><title>A television</title><script type="module">
  import * as sdk from "/dist/index.js";
  window.sdk = sdk;
  window.device = new sdk.Device({ storage: new sdk.IndexedDbStorage(), retry: { baseDelayMs: 50 } });
</script>`;

let gateway;
let url;
let directory;
/** The page's own server, whose origin the gateway allows, and one that it does not. */
let television;
let stranger;
let browser;

before(async () => {
  [television, stranger] = await Promise.all([serve(page), serve(page)]);
  directory = await mkdtemp(join(tmpdir(), "anonymous-domains-"));
  // Chromium does not run as root in its sandbox.
  const args = process.getuid?.() === 0 ? ["--no-sandbox"] : [];
  const started = [
    startServer({
      cors_origins: `https://tv.example, ${television.origin}`,
      domain_key_type: "RSA-2048",
      max_domains: 1,
    }).then((it) => (gateway = it)),
    chromium
      .launchPersistentContext(directory, { executablePath: EXECUTABLE, args, timeout: PATIENCE_MS })
      .then((it) => (browser = it)),
  ];
  // If one does not start, the other is stopped all the same.
  const failed = (await Promise.allSettled(started)).find(({ status }) => status === "rejected");
  if (failed !== undefined) {
    throw failed.reason;
  }
  browser.setDefaultTimeout(PATIENCE_MS);
  url = gateway.newDomain();
});

after(async () => {
  await browser?.close();
  await Promise.all([gateway?.stop(), television?.stop(), stranger?.stop()]);
  await rm(directory, { recursive: true, force: true });
});

async function page({ url }, _body, response) {
  const file = /^\/(dist\/[a-z0-9_]+\.js|examples\/household\.html)(\?|$)/.exec(url)?.[1];
  const text = file === undefined ? PAGE : await readFile(new URL(file, PACKAGE));
  const type = file?.endsWith(".js") ? "text/javascript" : "text/html";
  response.writeHead(200, { "Content-Type": type });
  response.end(text);
}

/** A page of that server's, with the SDK loaded. */
async function open({ origin }) {
  const opened = await browser.newPage();
  await opened.goto(origin);
  await opened.waitForFunction(() => "device" in window);
  return opened;
}

test("a page of another origin joins, stays the same machine, and leaves", async () => {
  const tab = await open(television);
  const join = (at) =>
    window.device.join(at).then(({ machineGuid, newMember, membership }) => {
      const { kid, x5c } = membership.credentials[membership.credentials.length - 1];
      return { machineGuid, newMember, newest: { kid, x5c } };
    });
  const joined = await tab.evaluate(join, url);
  assert.equal(joined.newMember, true);

  await tab.reload();
  await tab.waitForFunction(() => "device" in window);
  const faults = () => window.device.verify().then((all) => all.map((one) => one.faults));
  assert.deepEqual(await tab.evaluate(faults), [[]]);
  const again = await tab.evaluate(join, url);
  assert.deepEqual([again.machineGuid, again.newMember], [joined.machineGuid, false]);

  const jwe = seal(again.newest, "content");
  const openIt = ([at, sealed]) =>
    window.device.open(at, sealed).then((bytes) => new TextDecoder().decode(bytes));
  assert.equal(await tab.evaluate(openIt, [url, jwe]), "content");

  // Another tab is the same machine; both at once do not hinder each other.
  const other = await open(television);
  const both = await Promise.all([tab, other].map((one) => one.evaluate(join, url)));
  assert.deepEqual(new Set(both.map((one) => one.machineGuid)), new Set([joined.machineGuid]));

  assert.equal(await other.evaluate((at) => window.device.leave(at), url), "left");
  assert.deepEqual(await tab.evaluate(() => window.device.memberships()), []);
});

test("a new machine of two tabs is one", async () => {
  const tabs = await Promise.all([open(television), open(television)]);
  const guids = tabs.map((tab) =>
    tab.evaluate(async () => {
      const storage = new window.sdk.IndexedDbStorage("another");
      return (await new window.sdk.Device({ storage }).identity()).guid;
    }),
  );
  assert.equal(new Set(await Promise.all(guids)).size, 1);
});

test("an RSA machine", async () => {
  const tab = await open(television);
  const faults = await tab.evaluate(async (at) => {
    const storage = new window.sdk.IndexedDbStorage("rsa");
    const device = new window.sdk.Device({ storage, keyType: "RSA-2048" });
    await device.join(at);
    return (await device.verify(at))[0].faults;
  }, url);
  assert.deepEqual(faults, []);
});

test("no script can read a private key that is kept", async () => {
  const tab = await open(television);
  await tab.evaluate((at) => window.device.join(at), url);
  const refusals = await tab.evaluate(async () => {
    const database = await new Promise((resolve) => {
      const request = indexedDB.open("anonymous-domains");
      request.onsuccess = () => resolve(request.result);
    });
    const all = (name) =>
      new Promise((resolve) => {
        const request = database.transaction(name).objectStore(name).getAll();
        request.onsuccess = () => resolve(request.result);
      });
    const [{ signKey, openKey }] = await all("identity");
    const [{ credentials }] = await all("memberships");
    const keys = [signKey, openKey, credentials[0].privateKey.key];
    const exported = keys.flatMap((key) =>
      ["jwk", "pkcs8"].map((format) => crypto.subtle.exportKey(format, key)),
    );
    const tried = await Promise.allSettled(exported);
    return tried.map(({ status, reason }) => `${status} ${reason?.name}`);
  });
  assert.deepEqual(refusals, Array(6).fill("rejected InvalidAccessError"));
});

test("a page sees why it was refused, and when it may ask again", async () => {
  const tab = await open(television);
  const refused = await tab.evaluate(
    (at) =>
      window.device.join(at).catch(({ error, retryAfter, serverTime }) => ({
        error,
        retryAfter,
        serverMs: serverTime?.getTime(),
      })),
    gateway.newDomain(),
  );
  assert.equal(refused.error, "RATE_LIMITED");
  assert.ok(refused.retryAfter > 0);
  const offMs = Math.abs(refused.serverMs - Date.now());
  assert.ok(offMs < PATIENCE_MS, `${offMs}`);
});

test("a signal ends the wait for another tab, and what has waited does nothing", async () => {
  const [holder, waiter] = await Promise.all([open(television), open(television)]);
  await holder.evaluate(
    () =>
      new Promise((resolve) => {
        const storage = new window.sdk.IndexedDbStorage("turns");
        storage.exclusive(() => {
          resolve();
          return new Promise((release) => (window.release = release));
        });
      }),
  );
  const refused = await waiter.evaluate(async () => {
    const storage = new window.sdk.IndexedDbStorage("turns");
    const device = new window.sdk.Device({ storage });
    const controller = new AbortController();
    const reason = new Error("enough");
    window.done = [];
    const aborted = storage.exclusive(async () => window.done.push("aborted"), controller.signal);
    const forgotten = device.forget("https://domains.example/a", { signal: controller.signal });
    window.behind = storage.exclusive(async () => window.done.push("behind"));
    controller.abort(reason);
    const all = await Promise.allSettled([aborted, forgotten]);
    return all.map((one) => one.reason === reason);
  });
  assert.deepEqual(refused, [true, true]);
  // Who waits behind it waits for the other tab all the same.
  assert.deepEqual(await waiter.evaluate(() => window.done), []);
  await holder.evaluate(() => window.release());
  assert.deepEqual(await waiter.evaluate(() => window.behind.then(() => window.done)), ["behind"]);
});

test("the page of devices lets a machine forget what it holds and may not leave", async () => {
  const tab = await browser.newPage();
  await tab.goto(`${television.origin}/examples/household.html?url=${url}`);
  const card = tab.locator("section").first();
  const forget = card.locator("[name=forget]");
  const press = async (name, said) => {
    await card.locator(`[name=${name}]`).click();
    await card.locator("[role=status]", { hasText: said }).waitFor();
  };
  await press("join", "Joined.");
  await card.getByText(/^Holds domain-1,/).waitFor();
  assert.equal(await forget.isVisible(), false);
  const guid = await card.locator("code").innerText();
  await gateway.admin("DELETE", `${nameOf(url)}/members/${guid}`);
  await press("leave", "Is no member any more.");
  await forget.waitFor();
  await press("forget", "Forgotten.");
  await card.getByText("Holds no keys.").waitFor();
  await forget.waitFor({ state: "hidden" });
  await press("join", "Joined.");
  await press("leave", "Left.");
  assert.equal(await forget.isVisible(), false);
});

test("a page whose origin is not allowed can do nothing", async () => {
  const tab = await open(stranger);
  const { memberCount } = await gateway.admin("GET", nameOf(url));
  const kindOf = (call) => tab.evaluate(call, url);
  assert.equal(await kindOf((at) => window.device.join(at).catch(({ kind }) => kind)), "unreachable");
  assert.equal(
    await kindOf((at) => window.device.describe(at).catch(({ kind }) => kind)),
    "unreachable",
  );
  // Nor did the browser send the request.
  assert.equal((await gateway.admin("GET", nameOf(url))).memberCount, memberCount);
});
