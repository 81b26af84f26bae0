// Requests and their retries, without a server.

import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { Device, MemoryStorage, RETRY } from "../dist/index.js";
import { delay, policy, send } from "../dist/http.js";

const URL_OF_NONE = "https://domains.example/a";
const LONGEST_MS = 2 ** 31 - 1;

const kind = (wanted) => (error) => {
  assert.equal(error.kind, wanted, error.stack);
  return true;
};

const problem = (error, status, headers = {}) =>
  Response.json({ error, status, type: "", title: "", detail: "" }, { status, headers });

/** Gets, with these answers one after the other: the result or error, and how many there were. */
async function sent(answers, { retry = {}, ...sending } = {}) {
  let attempts = 0;
  const fetch = async () => answers[Math.min((attempts += 1), answers.length) - 1]();
  const all = { retry: policy({ baseDelayMs: 1, ...retry }), fetch, ...sending };
  const result = await send(URL_OF_NONE, all).catch((error) => error);
  return { result, attempts };
}

describe("the wait before a retry", () => {
  test("is what the server asks for and a random time that grows, up to a limit", () => {
    const retry = policy({ attempts: 50, baseDelayMs: 100, maxDelayMs: 1000 });
    for (const afterMs of [0, 700, 1000]) {
      for (let attempt = 1; attempt < 50; attempt += 1) {
        const longest = Math.min(100 * 2 ** (attempt - 1), 1000);
        const waits = Array.from({ length: 50 }, () => delay(retry, attempt, afterMs) - afterMs);
        assert.ok(waits.every((ms) => ms >= 0 && ms <= longest), `${attempt}: ${waits}`);
        assert.ok(new Set(waits).size > 1, "who was refused together comes back together");
        assert.ok(Math.max(...waits) > longest / 4, `${attempt}: ${waits}`);
      }
    }
  });

  test("is none after the last attempt, or if the server asks for too long", () => {
    const retry = policy({ attempts: 3, maxDelayMs: 1000 });
    assert.notEqual(delay(retry, 2, 1000), undefined);
    assert.equal(delay(retry, 3, 0), undefined);
    assert.equal(delay(retry, 1, 1001), undefined);
  });

  test("is one that timers know", () => {
    const long = policy({ attempts: 1e9, baseDelayMs: 1e300, maxDelayMs: 1e300 });
    assert.equal(delay(long, 1, LONGEST_MS), LONGEST_MS);
    assert.equal(delay(policy({ attempts: 1e9, baseDelayMs: 0 }), 1e6, 0), 0);
  });
});

describe("answers that ask to wait", () => {
  test("for too long end the call, whatever their status, and the error says how long", async () => {
    const headers = { "Retry-After": "11" };
    for (const status of [429, 502, 503, 504]) {
      const error = status === 429 ? "RATE_LIMITED" : "STORE_UNAVAILABLE";
      const refused = await sent([() => problem(error, status, headers)]);
      assert.deepEqual([refused.attempts, refused.result.retryAfter], [1, 11], `${status}`);
      kind("refused")(refused.result);
      // A proxy's answer.
      const other = await sent([() => new Response("<html>", { status, headers })]);
      assert.deepEqual([other.attempts, other.result.retryAfter], [1, 11], `${status}`);
      kind("unreachable")(other.result);
    }
  });

  test("with a date, by the server's clock", async () => {
    const [Date, later] = ["Sun, 06 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:57 GMT"];
    const { result } = await sent([() => problem("RATE_LIMITED", 429, { Date, "Retry-After": later })]);
    assert.equal(result.retryAfter, 20);
  });

  test("a refusal has the server's time, if the answer says it", async () => {
    const ms = Date.UTC(1994, 10, 6, 8, 49, 37);
    const at = { Date: new Date(ms).toUTCString() };
    const refused = async (headers) =>
      (await sent([() => problem("REQUEST_EXPIRED", 400, headers)])).result;
    assert.equal((await refused(at)).serverTime.getTime(), ms);
    assert.equal((await refused({})).serverTime, undefined);
    assert.equal((await refused({ Date: "yesterday" })).serverTime, undefined);
  });
});

describe("the options of retries", () => {
  test("that are undefined are as if they were left out", () => {
    const nothing = { attempts: undefined, baseDelayMs: undefined, maxDelayMs: undefined };
    assert.deepEqual(policy({ ...nothing, timeoutMs: undefined }), RETRY);
    assert.deepEqual(policy(), RETRY);
    assert.deepEqual(policy({ ...nothing, attempts: 1 }), { ...RETRY, attempts: 1 });
  });

  test("that are too long are as long as timers know", async () => {
    const ms = 2 ** 31;
    assert.deepEqual(policy({ baseDelayMs: ms, maxDelayMs: 1e300, timeoutMs: Infinity }), {
      attempts: RETRY.attempts,
      baseDelayMs: LONGEST_MS,
      maxDelayMs: LONGEST_MS,
      timeoutMs: LONGEST_MS,
    });
    for (const timeoutMs of [ms, Infinity]) {
      const slow = (_url, { signal }) =>
        new Promise((resolve, reject) => {
          signal.addEventListener("abort", () => reject(signal.reason));
          setTimeout(() => resolve(new Response("slow")), 50);
        });
      const sending = { retry: policy({ attempts: 1, timeoutMs }), fetch: slow };
      assert.equal(await send(URL_OF_NONE, sending), "slow");
    }
  });

  test("that make no policy are a usage error", () => {
    const newDevice = (retry) => new Device({ storage: new MemoryStorage(), retry });
    for (const retry of [
      ...[0, -1, 1.5, NaN, Infinity, "3", null].map((attempts) => ({ attempts })),
      ...[-1, NaN, Infinity, "3", null].map((baseDelayMs) => ({ baseDelayMs })),
      ...[-1, NaN, Infinity, "3", null].map((maxDelayMs) => ({ maxDelayMs })),
      ...[0, -1, NaN, "3", null].map((timeoutMs) => ({ timeoutMs })),
    ]) {
      assert.throws(() => newDevice(retry), kind("usage"), JSON.stringify(retry));
    }
    newDevice({ attempts: 1, baseDelayMs: 0, maxDelayMs: 0, timeoutMs: 0.5 });
  });
});

describe("a token function", () => {
  const granted = () => new Response("granted");
  const never = () => new Promise(() => {});

  test("that takes longer than an attempt may is asked again, and then no longer waited for", async () => {
    let calls = 0;
    const token = () => {
      calls += 1;
      return never();
    };
    const { result, attempts } = await sent([granted], { token, retry: { attempts: 2, timeoutMs: 20 } });
    kind("unreachable")(result);
    assert.match(result.message, /no token came in time/);
    assert.deepEqual([calls, attempts], [2, 0]);
    const late = { token: () => (calls === 2 ? token() : "token"), retry: { timeoutMs: 20 } };
    assert.equal((await sent([granted], late)).result, "granted");
  });

  test("does not outlast a signal", async () => {
    const reason = new Error("enough");
    // Aborted by whoever made the call, and by the function itself.
    for (const isByCaller of [true, false]) {
      const controller = new AbortController();
      const abortIf = (condition) => condition && controller.abort(reason);
      const token = () => {
        abortIf(!isByCaller);
        return never();
      };
      const call = sent([granted], { token, signal: controller.signal });
      abortIf(isByCaller);
      const { result, attempts } = await call;
      assert.deepEqual([result, attempts], [reason, 0]);
    }
    // Nor is it called when the signal is aborted already.
    const token = () => assert.fail("called");
    const signal = AbortSignal.abort(reason);
    assert.equal((await sent([granted], { token, signal })).result, reason);
  });

  test("that fails ends the call with its own error", async () => {
    const own = new Error("signed out");
    for (const token of [() => Promise.reject(own), () => { throw own; }]) {
      const { result, attempts } = await sent([granted], { token });
      assert.deepEqual([result, attempts], [own, 0]);
    }
  });

  test("that gives no token is a usage error", async () => {
    for (const token of [() => undefined, async () => null, () => "", () => "a b"]) {
      kind("usage")((await sent([granted], { token })).result);
    }
  });
});

test("a signal ends an attempt, also the last one", async () => {
  const reason = new Error("enough");
  for (const attempts of [1, 2]) {
    const controller = new AbortController();
    const fetch = (_url, { signal }) =>
      new Promise((_, reject) => {
        signal.addEventListener("abort", () => reject(signal.reason));
        controller.abort(reason);
      });
    const call = send(URL_OF_NONE, { retry: policy({ attempts }), fetch, signal: controller.signal });
    await assert.rejects(call, (error) => error === reason);
  }
});

test("a signal ends the wait before a retry", async () => {
  const controller = new AbortController();
  const reason = new Error("enough");
  const answer = () => {
    setTimeout(() => controller.abort(reason), 10);
    return new Response("", { status: 503, headers: { "Retry-After": "3600" } });
  };
  const sending = { signal: controller.signal, retry: { maxDelayMs: 3_600_000 } };
  const { result, attempts } = await sent([answer], sending);
  assert.deepEqual([result, attempts], [reason, 1]);
});
