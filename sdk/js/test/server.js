// The real server as a child process, its operator, and an issuer of tokens.

import { spawn } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

import { prepareSpin } from "./spin.js";

function program(name) {
  const variable = `ANONYMOUS_DOMAINS_${name}`;
  const path = process.env[variable];
  if (!path) {
    throw new Error(`${variable} is not set: it must be the path of a file`);
  }
  return path;
}

/**
 * Starts a gateway on a free port with these settings of the component; or a Spin, if
 * ANONYMOUS_DOMAINS_SPIN names one.
 */
export async function startServer(settings = {}) {
  const state = await mkdtemp(join(tmpdir(), "anonymous-domains-"));
  const all = { domain_key_type: "EC-P256", ...settings };
  const component = program("COMPONENT");
  const isSpin = Boolean(process.env.ANONYMOUS_DOMAINS_SPIN);
  const args = isSpin
    ? await prepareSpin(state, component, all)
    : [
        ...["--listen", "127.0.0.1:0", "--state", state, "--component", component],
        ...Object.entries(all).flatMap(([name, value]) => ["--set", `${name}=${value}`]),
      ];
  // Spin in a group of its own: what serves is a child of `spin up`.
  const options = { stdio: ["ignore", "pipe", "pipe"], detached: isSpin };
  const child = spawn(program(isSpin ? "SPIN" : "GATEWAY"), args, options);
  const ended = new Promise((resolve) => child.once("exit", resolve));
  const stop = async () => {
    if (child.exitCode === null && child.signalCode === null) {
      process.kill(isSpin ? -child.pid : child.pid);
    }
    await ended;
    await rm(state, { recursive: true });
  };
  let log = "";
  child.stderr.on("data", (data) => (log += data));
  const origin = await new Promise((resolve, reject) => {
    createInterface({ input: child.stdout }).on("line", (line) => {
      // Spin says where it serves at the latest when it does.
      const found = /(?:^listening on|^Serving) (http:\S+?)\/?$/.exec(line);
      if (found) {
        resolve(found[1]);
      }
    });
    child.once("error", reject);
    ended.then(() => reject(new Error(`the server did not start:\n${log}`)));
  });
  const token = (await readFile(join(state, "admin-token"), "utf8")).trim();
  let domains = 0;
  return {
    origin,
    caPem: await readFile(join(state, "ca.pem"), "utf8"),
    /** The URL of a domain that no other test has. */
    newDomain: () => `${origin}/flashaccess/domainserver/domain-${(domains += 1)}/`,
    /** A call of the operator's; what came back, if anything. */
    async admin(method, path, body) {
      const response = await fetch(`${origin}/admin/v1/domains/${path}`, {
        method,
        headers: { Authorization: `Bearer ${token}`, "Content-Type": "application/json" },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      const text = await response.text();
      if (!response.ok) {
        throw new Error(`${method} ${path}: ${response.status} ${text}`);
      }
      return text === "" ? undefined : JSON.parse(text);
    },
    stop,
  };
}

/** The last segment of a domain's URL. */
export const nameOf = (url) => /([^/]+)\/?$/.exec(url)[1];

/** An issuer: its JWK Set, and tokens. */
export async function newIssuer() {
  const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
  const pair = await crypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
  const { kty, crv, x, y } = await crypto.subtle.exportKey("jwk", pair.publicKey);
  const encode = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
  return {
    jwks: JSON.stringify({ keys: [{ kty, crv, x, y }] }),
    async token(claims = {}) {
      const exp = Math.floor(Date.now() / 1000) + 600;
      const signed = `${encode({ alg: "ES256" })}.${encode({ exp, ...claims })}`;
      const bytes = await crypto.subtle.sign(algorithm, pair.privateKey, Buffer.from(signed));
      return `${signed}.${Buffer.from(bytes).toString("base64url")}`;
    },
  };
}

/** An HTTP server on a free port: `handler` gets the request, its body and the response. */
export async function serve(handler) {
  const server = createServer(async (request, response) => {
    const parts = [];
    for await (const part of request) {
      parts.push(part);
    }
    await handler(request, Buffer.concat(parts), response);
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    origin: `http://127.0.0.1:${server.address().port}`,
    stop() {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(resolve));
    },
  };
}

/**
 * A proxy before `origin`. While `faults` has any, a request gets the first of them and takes it away: an
 * answer `{ status, headers, body }`, `"reset"`, or `"lost"`, where the server acts and the answer is lost.
 * `answers` are the texts of the server's own answers that it passed on.
 */
export async function faultyProxy(origin, faults) {
  const proxy = await serve(async (request, body, response) => {
    proxy.requests += 1;
    const fault = faults.shift();
    if (fault === "reset") {
      request.socket.destroy();
      return;
    }
    // Some engines send a request again by themselves when a connection that was kept open is lost.
    response.shouldKeepAlive = false;
    if (fault !== undefined && fault !== "lost") {
      response.writeHead(fault.status, fault.headers);
      response.end(fault.body);
      return;
    }
    const { method, url, headers } = request;
    const { host, connection, "content-length": length, ...kept } = headers;
    const hasBody = method === "POST";
    const answer = await fetch(origin + url, { method, headers: kept, ...(hasBody ? { body } : {}) });
    const text = await answer.text();
    if (fault === "lost") {
      request.socket.destroy();
      return;
    }
    proxy.answers.push(text);
    response.writeHead(answer.status, { "Content-Type": answer.headers.get("content-type") });
    response.end(text);
  });
  proxy.requests = 0;
  proxy.answers = [];
  return proxy;
}
