// `/admin/v1`, with an operator's token.

/** Beside the console, wherever the server's paths begin. */
const ADMIN = new URL("../admin/v1/", import.meta.url);

/** How long an answer may take; the server itself gives up changes after 30 seconds, as a rule. */
const READ_MS = 15_000;
const CHANGE_MS = 60_000;

/** Why something was not done: the server's problem document (RFC 9457), or that none came. */
export class Problem extends Error {
  constructor({ title, detail, status, error, instance }, retryAfter) {
    super(title);
    this.detail = detail;
    this.status = status;
    /** The error's name, such as `UNKNOWN_DOMAIN`. */
    this.error = error;
    /** What the request is called in the server's log. */
    this.instance = instance;
    /** After how many seconds it may be tried again, if the server says. */
    this.retryAfter = retryAfter;
  }

  /** Of an answer that is no success. */
  static async of(response) {
    const retryAfter = Number(response.headers.get("Retry-After")) || null;
    const type = response.headers.get("Content-Type") ?? "";
    if (type.startsWith("application/problem+json")) {
      return new Problem(await json(response), retryAfter);
    }
    const title = `The server answered ${response.status}`;
    const detail = "it has no problem document, so it may be a proxy that answered";
    return new Problem({ title, detail, status: response.status }, retryAfter);
  }

  static unreadable() {
    const detail = "it was cut off, or a proxy answered";
    return new Problem({ title: "The server's answer cannot be read", detail });
  }

  static unreachable() {
    const detail = "it may be restarting, or the network is down";
    return new Problem({ title: "The server does not answer", detail });
  }
}

/** A JSON object that an answer must have. */
async function json(response) {
  const value = await response.json().catch(() => null);
  if (typeof value !== "object" || value === null) {
    throw Problem.unreadable();
  }
  return value;
}

const path = (...segments) => segments.map(encodeURIComponent).join("/");

export class Api {
  #token;
  #refused;

  /** `refused` is called with the problem when the server does not take the token (any more). */
  constructor(token, refused) {
    // A header has bytes; those of the token are UTF-8.
    this.#token = String.fromCharCode(...new TextEncoder().encode(token));
    this.#refused = refused;
  }

  async #send(method, path, { query = {}, body, headers = {}, signal } = {}) {
    const url = new URL(path, ADMIN);
    for (const [name, value] of Object.entries(query)) {
      if (value !== null) {
        url.searchParams.set(name, value);
      }
    }
    const sent = { ...headers, Authorization: `Bearer ${this.#token}` };
    if (body !== undefined) {
      sent["Content-Type"] = "application/json";
    }
    const limit = new AbortController();
    const abort = () => limit.abort();
    setTimeout(abort, method === "GET" ? READ_MS : CHANGE_MS);
    signal?.addEventListener("abort", abort, { once: true });
    if (signal?.aborted) {
      abort();
    }
    let response;
    try {
      response = await fetch(url, {
        method,
        headers: sent,
        body: body && JSON.stringify(body),
        signal: limit.signal,
        cache: "no-store",
        credentials: "omit",
        redirect: "error",
      });
    } catch (error) {
      throw signal?.aborted ? error : Problem.unreachable();
    }
    if (response.ok) {
      return response;
    }
    const problem = await Problem.of(response);
    if (problem.status === 401) {
      this.#refused(problem);
    }
    throw problem;
  }

  async #get(path, query, signal) {
    return json(await this.#send("GET", path, { query, signal }));
  }

  /** A page of domains by name, without their members' numbers. */
  domains({ after = null, limit, signal }) {
    return this.#get("domains", { after, limit }, signal);
  }

  /** A domain and the entity tag of its settings. */
  async domain(name, signal) {
    return this.#described(await this.#send("GET", path("domains", name), { signal }));
  }

  /** Creates a domain; it must not exist. */
  async create(name, settings) {
    const headers = { "If-None-Match": "*" };
    await this.#send("PUT", path("domains", name), { body: settings, headers });
  }

  /** Replaces the settings that had this entity tag. */
  async replace(name, settings, entityTag) {
    const headers = { "If-Match": entityTag };
    return this.#described(
      await this.#send("PUT", path("domains", name), { body: settings, headers }),
    );
  }

  async #described(response) {
    return { domain: await json(response), entityTag: response.headers.get("ETag") };
  }

  delete(name) {
    return this.#send("DELETE", path("domains", name));
  }

  members(name, { after, limit, signal }) {
    return this.#get(path("domains", name, "members"), { after, limit }, signal);
  }

  remove(name, machine) {
    return this.#send("DELETE", path("domains", name, "members", machine));
  }

  blocked(name, { after, limit, signal }) {
    return this.#get(path("domains", name, "blocked"), { after, limit }, signal);
  }

  block(name, machine) {
    return this.#send("PUT", path("domains", name, "blocked", machine));
  }

  unblock(name, machine) {
    return this.#send("DELETE", path("domains", name, "blocked", machine));
  }

  rollOver(name) {
    return this.#send("POST", path("domains", name, "rollover"));
  }

  async keys(name, signal) {
    return (await this.#get(path("domains", name, "keys"), {}, signal)).keys;
  }
}
